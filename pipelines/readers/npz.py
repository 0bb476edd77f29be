"""Reads the arrays of an .npz file, of numbers or text: no pickle is looked at, and nothing unpacked that is a bomb."""

import os

import numpy as np

from pipelines.errors import InputError, shown
from pipelines.paths import AnyPath
from pipelines.readers.files import Source

_FREE_BYTES, _MAX_RATIO = 1 << 30, 200
"""A file may unpack to so many bytes, and beyond them to so many times its size: equal numbers pack to a thousandth."""


def read_arrays(path: AnyPath, what: str, remedy: str) -> dict[str, np.ndarray]:
    """Name -> array.

    Args:
      path: the file.
      what: it should be, for the error message.
      remedy: likewise.

    Raises:
      InputError: it cannot be read, is damaged or another kind of file, or holds arrays of objects.
    """
    with Source(path).open() as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                unpacked, packed = sum(each.file_size for each in archive.zip.infolist()), file.seek(0, os.SEEK_END)
                if unpacked > max(_FREE_BYTES, _MAX_RATIO * packed):
                    raise ValueError(f"{packed:,} bytes that unpack to {unpacked:,}")
                return {name: np.asarray(archive[name]) for name in archive.files}
        except Exception as error:  # of bytes that are no such file it may be nearly any
            problem = f"not {what}, or damaged ({shown(str(error)) or type(error).__name__})"
            raise InputError(problem, path=path, remedy=remedy) from None
