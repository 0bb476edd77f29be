"""One process at a time in a folder: a lock that the kernel frees when its process ends, however that ends.

Readers need none: what they read appears whole. In an object store there are no locks, nor on some network file
systems, where it is said.
"""

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from pipelines.atomic import made, writing
from pipelines.errors import InputError
from pipelines.notices import notices
from pipelines.paths import AnyPath, is_remote

LOCK = ".lock"
"""The file of a run's folder that is locked: there while the run is trained; left by a kill, it hinders nobody."""
STUDY_LOCK = "study.lock"
"""Likewise of the folder of a study or a search, of which runs are parts."""
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_TRIES, _PAUSE = 5, 0.02
"""So often a lock is tried for, and seconds in between: `check_free` holds one for a moment."""


@contextlib.contextmanager
def locked(folder: AnyPath, name: str = LOCK) -> Iterator[None]:
    """Makes a folder, for this process and thread alone while the block lasts; one that stays empty goes again.

    Args:
      folder: the folder. Nothing is done where it is in an object store.
      name: of the file in it that is locked.

    Raises:
      InputError: another process, or thread, is at it: says which.
      StorageError: it cannot be written.
    """
    if is_remote(folder):
        yield
        return
    with made(folder), _lock(folder, name):
        yield


def check_free(folder: AnyPath, name: str = LOCK) -> None:
    """Raises InputError where another process has a folder locked."""
    if is_remote(folder):
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder / name, _READ)
        with os.fdopen(descriptor):
            _take(descriptor, folder)


@contextlib.contextmanager
def _lock(folder: Path, name: str) -> Iterator[None]:
    path = folder / name
    while True:
        with writing(folder, *folder.parents, path):
            descriptor = _opened(path)
        with os.fdopen(descriptor):
            _take(descriptor, folder)
            if not _is_at(descriptor, path):
                continue  # it was removed when its former holder let it go
            with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, _me().encode(), 0)
            try:
                yield
            finally:
                with contextlib.suppress(OSError):  # before it is let go, so that nobody's but ours is removed
                    if _is_at(descriptor, path):  # the folder may have got another name since, and another one its own
                        path.unlink()
            return


def _opened(path: Path) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            continue  # another process, which had made the folder, has just gone
        except PermissionError:
            if not path.exists():
                raise
            return os.open(path, _READ)  # another user's: to lock it, it is enough to read it


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _take(descriptor: int, folder: Path) -> None:
    """Locks an open file.

    Raises:
      InputError: another process has.
    """
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if left:
                time.sleep(_PAUSE)
        except OSError as error:
            notices.warning(
                "%s: its file system knows no locks (%s): see that no other process trains there.",
                *(folder, error.strerror),
            )
            return
    holder = os.pread(descriptor, 1000, 0).decode(errors="replace") or "another process"
    raise InputError(
        f"{holder} is at work there", path=folder, remedy="Wait for it, stop it, or choose another `output_dir`."
    )


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M:%S')},"
