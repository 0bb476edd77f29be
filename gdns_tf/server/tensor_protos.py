"""TensorProtos to arrays and back."""

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from gdns_tf.server.refusal import invalid

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
_MOST_ELEMENTS = 1 << 27
"""A TensorProto may hold one value for all of its elements: a few bytes could ask for any amount of memory."""


def array_from_proto(alias: str, tensor: tensor_pb2.TensorProto) -> np.ndarray:
    """The array [...] of an input; strings as `object` arrays of bytes.

    Raises:
      Refusal: it does not hold what its shape says.
    """
    sizes = [dim.size for dim in tensor.tensor_shape.dim]
    try:
        if min(sizes, default=0) < 0 or math.prod(sizes) > _MOST_ELEMENTS:
            raise ValueError(f"its shape is {sizes}")
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise invalid(f"tensor parsing error: {alias} ({error})") from None


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
