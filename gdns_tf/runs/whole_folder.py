"""A folder that appears whole or not at all, also in the place of a former one, whatever breaks off the writing."""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from gdns_tf.runs.lock import check_free, locked
from pipelines.atomic import is_temporary, made, remove, temporary_name, writing
from pipelines.errors import InputError, StorageError

_NEW, _FORMER = "new", "former"
_EXCHANGE, _HERE = 2, -100
"""RENAME_EXCHANGE and AT_FDCWD of Linux."""


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty folder to write into, which takes the place of `path` when the block ends, and goes if it fails.

    Args:
      path: the folder to make; what is there goes when the new one is in its place.

    Raises:
      StorageError: it cannot be written.
      InputError: a run is being trained at `path`.
    """
    path = path.absolute()
    beside = path.with_name(temporary_name(path))
    unfinished = beside / _NEW
    try:
        with made(path.parent):
            _clear_abandoned(path)
            with locked(beside), writing(path, unfinished):
                try:
                    unfinished.mkdir()
                    yield unfinished
                    _put_in_place(unfinished, path)
                finally:
                    with contextlib.suppress(StorageError):
                        remove(unfinished)
    except StorageError as error:
        error.args = (str(error).replace(str(unfinished), str(path)).replace(str(beside), str(path)),)
        raise


def _clear_abandoned(path: Path) -> None:
    """Removes what a process left beside `path` that was killed."""
    with writing(path):
        for beside in path.parent.iterdir():
            if is_temporary(beside.name, of=[path.name]) and beside.is_dir():
                with contextlib.suppress(InputError):  # one is writing it
                    check_free(beside)
                    _give_back(beside / _FORMER, path)
                    remove(beside)


def _put_in_place(new: Path, path: Path) -> None:
    if not path.exists():
        new.rename(path)
        return
    with locked(path):
        try:
            _exchange(new, path)
        except (OSError, AttributeError):  # a system or a file system that cannot: there is a moment with neither
            former = new.with_name(_FORMER)
            path.rename(former)
            try:
                new.rename(path)
            finally:
                _give_back(former, path)
            remove(former)


def _give_back(former: Path, path: Path) -> None:
    """Gives a folder its name again, if none has it now: what broke off came between its going and the new one."""
    if former.exists() and not os.path.lexists(path):
        former.rename(path)


def _exchange(one: Path, other: Path) -> None:
    """Gives each of two folders the name of the other, at once."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
