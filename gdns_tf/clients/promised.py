"""Whether a model's answer is what the contract promises, before anybody computes with it."""

from collections.abc import Mapping

import numpy as np

from gdns_tf.clients.errors import ServingError
from gdns_tf.serving.contract import Signature, Tensor

_KINDS = {"int64": "i", "int32": "i", "float32": "fi", "bool": "b", "string": "O"}
"""Dtype of the contract -> the kinds of NumPy's dtypes that it may come as: JSON has whole numbers for 1.0."""


def as_promised(
    answer: Mapping[str, np.ndarray],
    signature: Signature,
    inputs: Mapping[str, np.ndarray],
    id_types: Mapping[str, str],
) -> dict[str, np.ndarray]:
    """The outputs in the contract's dtypes.

    Rows are as many as were asked for. Lists may be wider (a server that batches fills them up), but of one width in
    all outputs. No number is NaN or infinite.

    Args:
      answer: all outputs of the signature.
      signature: the contract.
      inputs: what was asked.
      id_types: types of raw ids, as the contract names them.

    Raises:
      ServingError: it is anything else.
    """
    least = {axis: size for tensor in signature.inputs for axis, size in _sizes(tensor, inputs[tensor.name])}
    rows, found = least.pop("B"), {}
    checked = {}
    for tensor in signature.outputs:
        array = _typed(answer[tensor.name], tensor, tensor.dtype_with(id_types), signature.name)
        for axis, size in _sizes(tensor, array):
            wrong = size != rows if axis == "B" else size < least.get(axis, 0) or found.setdefault(axis, size) != size
            if wrong:
                raise ServingError(
                    f"signature {signature.name!r} answers with {tensor.name!r} of shape {list(array.shape)} "
                    f"to {rows} that were asked for: this is not the contract of gdns_tf.export"
                )
        checked[tensor.name] = array
    return checked


def _sizes(tensor: Tensor, array: np.ndarray) -> list[tuple[str, int]]:
    """Axis -> size, without those where one row may stand for all."""
    return [(axis, size) for axis, size in zip(tensor.axes, array.shape, strict=True) if "|" not in axis]


def _typed(array: np.ndarray, tensor: Tensor, dtype: str, signature: str) -> np.ndarray:
    """The array in the contract's dtype and number of dimensions."""
    if not array.size:  # JSON's empty lists tell neither of them
        shape = (*array.shape, *(0,) * (tensor.rank - array.ndim))
        if len(shape) == tensor.rank:
            return np.empty(shape, tensor.numpy_dtype_with({tensor.dtype: dtype}))
    if array.ndim != tensor.rank or array.dtype.kind not in _KINDS[dtype]:
        raise ServingError(
            f"signature {signature!r} answers with {tensor.name!r} of {array.dtype} and shape {list(array.shape)}, "
            f"not {dtype} of {tensor.rank} dimensions: this is not the contract of gdns_tf.export"
        )
    wanted = np.dtype(tensor.numpy_dtype_with({tensor.dtype: dtype}))
    with np.errstate(over="ignore", invalid="ignore"):
        typed = array.astype(wanted, copy=False)
    lost = not np.isfinite(typed).all() if wanted.kind == "f" else wanted.kind == "i" and (typed != array).any()
    if lost:
        raise ServingError(f"signature {signature!r} answers with {tensor.name!r} that holds numbers beyond {dtype}")
    return typed
