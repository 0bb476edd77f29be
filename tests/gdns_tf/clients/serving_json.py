"""TensorFlow Serving's mapping between JSON and tensors (`util/json_tensor.cc`), for the test server."""

import base64

import numpy as np
import tensorflow as tf
from serving_versions import Refusal

_INTEGERS = {tf.int32: (-(2**31), 2**31), tf.int64: (-(2**63), 2**63)}
_KINDS = {type(None): "Null", bool: "Bool", dict: "Object", str: "String", int: "Number", float: "Number"}


def tensors_from_json(body: object, infos: dict) -> tuple[dict[str, np.ndarray], bool]:
    """The inputs that a predict request's JSON holds, and whether it is in rows (`instances`).

    Args:
      body: the parsed request.
      infos: TensorInfo of each input of the signature.
    """
    if not infos:
        raise Refusal("INVALID_ARGUMENT", "Failed to get input map for signature")
    if "instances" in body and "inputs" in body:
        raise _invalid(body, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ")
    if "inputs" in body:
        return _columns(body["inputs"], infos), False
    if "instances" in body:
        return _rows(body["instances"], infos), True
    raise Refusal("INVALID_ARGUMENT", "Missing 'inputs' or 'instances' key")


def json_from_tensors(outputs: dict[str, np.ndarray], rows: bool) -> dict:
    """The response's JSON: one output stands without its name."""
    values = {name: _plain(name, array) for name, array in outputs.items()}
    if not rows:
        return {"outputs": next(iter(values.values())) if len(values) == 1 else values}
    if len({len(array) for array in outputs.values()}) != 1:
        raise Refusal("INVALID_ARGUMENT", "Tensor name: output has inconsistent batch size")
    if len(values) == 1:
        return {"predictions": next(iter(values.values()))}
    return {"predictions": [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]}


def _columns(value: object, infos: dict) -> dict[str, np.ndarray]:
    if not isinstance(value, dict) or _is_base64(value):
        if len(infos) > 1:
            raise Refusal("INVALID_ARGUMENT", "inputs is a plain value/list, but expecting an object as multiple input "
                          "tensors required as per tensorinfo_map")  # fmt: skip
        value = {next(iter(infos)): value}
    for name in infos:
        if name not in value:
            raise Refusal("INVALID_ARGUMENT", f"Missing named input: {name} in 'inputs' object.")
    return {name: _tensor(value[name], tf.dtypes.as_dtype(info.dtype)) for name, info in infos.items()}


def _rows(value: object, infos: dict) -> dict[str, np.ndarray]:
    if not isinstance(value, list) or not value:
        raise _invalid(value, "No values in 'instances' array")
    if len(infos) == 1 and not (isinstance(value[0], dict) and not _is_base64(value[0])):
        value = [{next(iter(infos)): row} for row in value]
    columns = {name: [] for name in infos}
    for number, row in enumerate(value):
        if not isinstance(row, dict) or set(row) != set(infos):
            raise Refusal("INVALID_ARGUMENT", f"Failed to process element: {number} of 'instances' list. JSON object: "
                          f"{row!r} keys must be equal to: {','.join(sorted(infos))}")  # fmt: skip
        for name in infos:
            columns[name].append(row[name])
    return {name: _tensor(columns[name], tf.dtypes.as_dtype(info.dtype)) for name, info in infos.items()}


def _tensor(value: object, dtype: tf.DType) -> np.ndarray:
    """A nested list as an array; as in TF Serving its shape is that of the first elements, all others must agree."""
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    flat: list = []
    _flatten(value, shape, dtype, flat)
    array = np.empty(len(flat), object if dtype == tf.string else dtype.as_numpy_dtype)
    array[:] = flat
    return array.reshape(shape)


def _flatten(value: object, shape: list[int], dtype: tf.DType, flat: list) -> None:
    if not shape:
        if isinstance(value, list):
            raise _invalid(value, "Encountered list at unexpected level: 0 expected < 0")
        flat.append(_scalar(value, dtype))
        return
    if not isinstance(value, list):
        raise _invalid(value, f"Encountered value at unexpected level, expected: {len(shape)}")
    if len(value) != shape[0]:
        raise _invalid(value, f"Encountered list of size {len(value)}, expected {shape[0]}")
    for element in value:
        _flatten(element, shape[1:], dtype, flat)


def _scalar(value: object, dtype: tf.DType) -> object:
    if dtype == tf.string:
        if isinstance(value, str):
            return value.encode()
        if _is_base64(value):
            return base64.b64decode(value["b64"])
    elif dtype == tf.bool:
        if isinstance(value, bool):
            return value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if dtype not in _INTEGERS:
            return value
        low, high = _INTEGERS[dtype]
        if isinstance(value, int) and low <= value < high:
            return value
    raise Refusal(
        "INVALID_ARGUMENT", f"JSON Value: {value!r} Type: {_KINDS[type(value)]} is not of expected type: {dtype.name}"
    )


def _plain(name: str, array: np.ndarray) -> object:
    if array.dtype != object:
        return array.astype(str).astype(float).tolist() if array.dtype == np.float32 else array.tolist()
    if name.endswith("_bytes"):
        return np.vectorize(lambda text: {"b64": base64.b64encode(text).decode()}, otypes=[object])(array).tolist()
    return np.vectorize(bytes.decode, otypes=[object])(array).tolist()


def _is_base64(value: object) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def _invalid(value: object, what: str) -> Refusal:
    return Refusal("INVALID_ARGUMENT", f"JSON Value: {str(value)[:256]} {what}")
