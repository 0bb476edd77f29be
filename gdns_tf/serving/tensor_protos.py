"""TensorProtos to arrays and back, whoever sent them."""

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int32: "int_val",
    tf.int16: "int_val",
    tf.int8: "int_val",
    tf.uint8: "int_val",
    tf.int64: "int64_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
}
"""Dtype -> the field of a TensorProto that holds its values."""
_HALVES = (tf.float16, tf.bfloat16)
_MOST_REPEATED, _MOST_REPEATED_BYTES = 1 << 20, 1 << 24
"""A TensorProto may hold one value for all of its elements, so that a few bytes could ask for any amount of memory: it
may have so many elements beyond those it holds, and, of strings, so many bytes."""
_MOST_DIMENSIONS = 16


def array_from_proto(tensor: tensor_pb2.TensorProto) -> np.ndarray:
    """The array [...]; strings as `object` arrays of bytes.

    Raises:
      ValueError: it does not hold what its shape and its dtype say, or would be made much larger than what it holds.
    """
    sizes = [dim.size for dim in tensor.tensor_shape.dim[: _MOST_DIMENSIONS + 1]]
    if min(sizes, default=0) < 0 or len(sizes) > _MOST_DIMENSIONS:
        raise ValueError(f"its shape is {sizes}")
    if tensor.dtype not in _FIELDS and tensor.dtype not in _HALVES:
        raise ValueError(f"its dtype is {tensor.dtype}")
    if not tensor.tensor_content:
        held = len(getattr(tensor, _FIELDS.get(tensor.dtype, "half_val")))
        repeated = math.prod(sizes) - held
        length = len(tensor.string_val[-1]) if tensor.string_val else 0
        if repeated > _MOST_REPEATED or repeated * length > _MOST_REPEATED_BYTES:
            raise ValueError(f"its shape is {sizes}, and it holds {held} values")
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(str(error)) from None


def proto_from_array(array: np.ndarray) -> tensor_pb2.TensorProto:
    """An array as TensorFlow Serving sends it: with its values in a field of their type, which clients may read."""
    dtype = tf.dtypes.as_dtype(array.dtype)
    if dtype not in _FIELDS:
        return tf.make_tensor_proto(array)
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    getattr(proto, _FIELDS[dtype]).extend(array.ravel().tolist())
    return proto
