"""Run as a program that does not import TensorFlow: a SavedModel through TensorFlow's C++ loader, by the C API.

    python c_api.py LIBRARIES MODEL REQUEST ANSWER

LIBRARIES is the folder of libtensorflow_framework and libtensorflow_cc. REQUEST is an .npz file of arrays by name of
the graph's input tensors ("serving_default_user_ids:0"), and of the array "fetch", the names of its outputs; their
values go, under those names, to the .npz file ANSWER.
"""

import ctypes
import sys
from ctypes import c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path

import numpy as np

DTYPES = {1: np.float32, 3: np.int32, 9: np.int64, 10: np.bool_}  # TF_DataType


class Output(ctypes.Structure):
    """TF_Output."""

    _fields_ = (("operation", c_void_p), ("index", c_int))


def load_library(folder):
    ctypes.CDLL(str(next(folder.glob("libtensorflow_framework.so*"))), ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(next(folder.glob("libtensorflow_cc.so*"))), ctypes.RTLD_GLOBAL)
    for name, result in {
        **dict.fromkeys(("TF_NewStatus", "TF_NewGraph", "TF_NewSessionOptions", "TF_AllocateTensor"), c_void_p),
        **dict.fromkeys(("TF_LoadSessionFromSavedModel", "TF_TensorData", "TF_GraphOperationByName"), c_void_p),
        **dict.fromkeys(("TF_GetCode", "TF_NumDims", "TF_TensorType"), c_int),
        "TF_Message": c_char_p,
        "TF_Dim": c_int64,
        "TF_TensorByteSize": c_size_t,
        "TF_SessionRun": None,
    }.items():
        getattr(library, name).restype = result
    return library


def main(libraries, model, request, answer):
    tf = load_library(Path(libraries))
    status, graph = c_void_p(tf.TF_NewStatus()), c_void_p(tf.TF_NewGraph())

    def check():
        if tf.TF_GetCode(status):
            sys.exit(tf.TF_Message(status).decode())

    def output_of(name):
        operation, index = name.split(":")
        found = tf.TF_GraphOperationByName(graph, operation.encode())
        assert found, name
        return Output(found, int(index))

    def tensor_of(array):
        code = next(code for code, dtype in DTYPES.items() if dtype == array.dtype)
        shape = (c_int64 * array.ndim)(*array.shape)
        tensor = tf.TF_AllocateTensor(c_int(code), shape, c_int(array.ndim), c_size_t(array.nbytes))
        ctypes.memmove(tf.TF_TensorData(c_void_p(tensor)), np.ascontiguousarray(array).ctypes.data, array.nbytes)
        return tensor

    def array_of(tensor):
        shape = [tf.TF_Dim(tensor, c_int(axis)) for axis in range(tf.TF_NumDims(tensor))]
        content = ctypes.string_at(tf.TF_TensorData(tensor), tf.TF_TensorByteSize(tensor))
        return np.frombuffer(content, DTYPES[tf.TF_TensorType(tensor)]).reshape(shape)

    tags = (c_char_p * 1)(b"serve")
    options = c_void_p(tf.TF_NewSessionOptions())
    session = c_void_p(
        tf.TF_LoadSessionFromSavedModel(options, None, str(model).encode(), tags, c_int(1), graph, None, status)
    )
    check()
    with np.load(request) as file:
        inputs = {name: file[name] for name in file.files}
    fetch = inputs.pop("fetch").tolist()
    sources = (Output * len(inputs))(*map(output_of, inputs))
    values = (c_void_p * len(inputs))(*map(tensor_of, inputs.values()))
    targets, results = (Output * len(fetch))(*map(output_of, fetch)), (c_void_p * len(fetch))()
    run = (sources, values, c_int(len(inputs)), targets, results, c_int(len(fetch)), None, c_int(0), None, status)
    tf.TF_SessionRun(session, None, *run)
    check()
    assert "tensorflow" not in sys.modules
    np.savez(answer, **{name: array_of(c_void_p(value)) for name, value in zip(fetch, results, strict=True)})


if __name__ == "__main__":
    main(*sys.argv[1:])
