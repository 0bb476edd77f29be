"""Reads a NumPy array from a pickle without giving the pickle anything that can run code.

A pickle is a program that calls what it names. Here every name that an array's pickle may use stands for a small
class of this file, every other name is refused, and the array is built from checked parts at the end. Pickles of
NumPy 1 and 2, of Python 2 and 3 and of protocols 0 to 5 are understood.
"""

import math
import pickle

import numpy as np

from pipelines.errors import InputError, shown
from pipelines.paths import AnyPath
from pipelines.readers.files import Source

_DTYPES = frozenset(["b1", *(kind + size for kind in "iu" for size in "1248"), "f2", "f4", "f8"])


def load_array(path: AnyPath) -> np.ndarray:
    """Reads the one array that a pickle holds.

    Args:
      path: the file.

    Returns:
      A read-only array of integers, floats or booleans.

    Raises:
      InputError: the file is missing, damaged, holds something else than an array, or asks for anything else.
    """
    try:
        with Source(path).open() as file:
            loaded = _ArraysOnly(file, encoding="latin1").load()
    except InputError:
        raise
    except _Refused as refused:
        raise InputError(
            str(refused), path=path, remedy="It was not loaded, and should not be elsewhere: such a file may run code."
        ) from None
    except Exception as error:  # Bytes that are no pickle raise nearly anything: the pickle module promises no list.
        raise InputError(
            f"is not a whole pickle of a NumPy array ({type(error).__name__}: {shown(str(error))})",
            path=path,
            remedy="Copy or download it again: it may be truncated.",
        ) from None
    if not isinstance(loaded, _Array) or loaded.values is None:
        kind = "an unfinished array" if isinstance(loaded, _Array) else f"a {type(loaded).__name__}"
        raise InputError(f"holds {kind}, not a NumPy array", path=path, remedy="Write it as pickle.dump(array, file).")
    return loaded.values


class _Refused(Exception):
    """The pickle wants something that no array of numbers needs."""


class _Dtype:
    """Stands for `numpy.dtype`."""

    def __init__(self, name: str, *_align_and_copy: object) -> None:
        if name not in _DTYPES:
            raise _Refused(f"holds an array of dtype {shown(name, quoted=True)}, where only numbers are read")
        self.value = np.dtype(name)

    def __setstate__(self, state: tuple) -> None:
        self.value = self.value.newbyteorder(state[1])


class _Array:
    """Stands for `numpy.ndarray` and for the function that makes an empty one."""

    def __init__(self, *_class_shape_and_code: object) -> None:
        self.values: np.ndarray | None = None

    def __setstate__(self, state: tuple) -> None:
        _version, shape, dtype, is_fortran, data = state
        if isinstance(data, str):  # Python 2's bytes
            data = data.encode("latin1")
        self.fill(data, dtype, shape, "F" if is_fortran else "C")

    def fill(self, data: bytes | bytearray, dtype: _Dtype, shape: tuple[int, ...], order: str) -> None:
        size = math.prod(shape) * dtype.value.itemsize
        if size != len(data):
            raise ValueError(f"an array of {size} bytes has {len(data)}")
        self.values = np.ndarray(shape, dtype.value, buffer=bytes(data), order=order)


class _FilledArray(_Array):
    """Stands for the function by which protocol 5 makes an array: `numpy.core.numeric._frombuffer`."""

    def __init__(self, data: bytes | bytearray, dtype: _Dtype, shape: tuple[int, ...], order: str) -> None:
        self.fill(data, dtype, shape, order)


class _Bytes(bytes):
    """Stands for `_codecs.encode` and `bytes`, by which Python 3 writes bytes into protocols 0 to 2."""

    def __new__(cls, text: str = "", _encoding: str = "latin1") -> "_Bytes":
        return super().__new__(cls, text.encode("latin1"))

    def __setstate__(self, state: object) -> None:
        raise ValueError("bytes have no state")


_STAND_INS = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.numeric", "_frombuffer"): _FilledArray,
    ("numpy._core.numeric", "_frombuffer"): _FilledArray,
    ("_codecs", "encode"): _Bytes,
    ("__builtin__", "bytes"): _Bytes,
}


class _ArraysOnly(pickle._Unpickler):
    """The one that is written in Python: a few bytes have the other reserve gigabytes for its memo."""

    def find_class(self, module: str, name: str) -> type:
        if (module, name) not in _STAND_INS:
            raise _Refused(f"asks for {shown(f'{module}.{name}')}, which is no part of a NumPy array")
        return _STAND_INS[module, name]
