"""Files that appear whole or not at all, whatever breaks off the writing."""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from pipelines.errors import StorageError
from pipelines.paths import RemotePath, as_path

_PART = 100
"""Bytes of the beginning and of the ending of a file's name in its temporary's: a name may have no more than 255."""
_TEMPORARY = re.compile(r"\.(.*)\.[0-9a-f]{12}\.tmp(\.[^.]*)?", re.DOTALL)
_PROBE = ".writable."


@contextlib.contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its name when the block ends and goes if it fails.

    It is there already, empty and new, under a name that nobody could foresee: no link is followed. It keeps the ending
    of the name, by which many writers tell the format. What a killed process left of the same file goes. For a path in
    an object store the file is a temporary one on this machine, which is uploaded when the block ends.

    Args:
      path: the file to make; its folder must exist.

    Yields:
      The path to write to.

    Raises:
      StorageError: it cannot be written.

    Example:
      with whole("metrics.json") as unfinished:
          unfinished.write_text("{}")
    """
    path = as_path(path)
    if isinstance(path, RemotePath):
        with tempfile.TemporaryDirectory() as folder:
            unfinished = Path(folder) / path.name
            yield unfinished
            path.upload(unfinished)
        return
    _clear_abandoned(path)
    unfinished, descriptor = _created(path)
    try:
        with writing(path, unfinished):
            yield unfinished
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(unfinished, path)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        os.close(descriptor)


def _created(path: Path) -> tuple[Path, int]:
    """A new, locked temporary of `path`, and its descriptor."""
    while True:
        unfinished = path.with_name(temporary_name(path))
        with writing(path, unfinished):
            descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # another process takes it for abandoned, for it was not locked yet: it goes
        except OSError:  # a file system without locks, on which nobody takes it for that
            return unfinished, descriptor
        else:
            if os.path.lexists(unfinished):
                return unfinished, descriptor
        os.close(descriptor)


def _clear_abandoned(path: Path) -> None:
    """Removes what processes left of `path` that were killed: what is being written is locked."""
    with contextlib.suppress(OSError):
        for name in os.listdir(path.parent):
            if is_temporary(name, of=[path.name]):
                with contextlib.suppress(OSError):
                    descriptor = os.open(
                        path.with_name(name), os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
                    )  # NFS locks those
                    try:
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        path.with_name(name).unlink()
                    finally:
                        os.close(descriptor)


@contextlib.contextmanager
def writing(*paths: str | os.PathLike) -> Iterator[None]:
    """Makes a StorageError of what the system has against writing the first of the paths, by way of any of them."""
    try:
        yield
    except OSError as error:
        is_of_another = error.filename is not None and str(error.filename) not in map(str, paths)
        if is_of_another or isinstance(error, (ConnectionError, TimeoutError)):
            raise
        raise StorageError.of(error, paths[0]) from error


def temporary_name(path: Path) -> str:
    """A name that nobody can foresee for what will be `path`, and that `is_temporary` knows."""
    stem, suffix = _parts(path.name)
    return f".{stem}.{secrets.token_hex(6)}.tmp{suffix}"


def is_temporary(name: str, of: Collection[str] = ()) -> bool:
    """Whether a name is one that `whole` writes to: left behind by a kill, if nobody is writing.

    Args:
      name: of a file.
      of: names of the files that it is to be a temporary of; empty: any.
    """
    match = _TEMPORARY.fullmatch(name)
    return match is not None and (not of or (match[1], match[2] or "") in map(_parts, of))


def _parts(name: str) -> tuple[str, str]:
    """What of a name its temporaries keep: the beginning of its stem, and of its suffix."""
    parts = Path(name).stem, Path(name).suffix
    stem, suffix = (part.encode(errors="replace")[:_PART].decode(errors="ignore") for part in parts)
    return stem, suffix


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes text, as UTF-8, into a file that appears whole or not at all."""
    with whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def made(folder: Path) -> Iterator[None]:
    """Makes a folder and those above it, which go again if they are empty when the block ends; a store has none.

    Raises:
      StorageError: it cannot be made.
    """
    if isinstance(folder, RemotePath):
        yield
        return
    with writing(folder, *folder.parents):
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # something is in it
            for each in missing:
                each.rmdir()


def check_writable(folder: Path, setting: str = "") -> None:
    """Raises StorageError where a folder of this machine, that need not exist, cannot be written. Nothing is left.

    Args:
      folder: the folder.
      setting: what names it, for the message.
    """
    folder = folder.absolute()
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            folder.lstat()  # which tells a name that is too long
        there = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
        with tempfile.TemporaryFile(dir=there, prefix=_PROBE, buffering=0) as probe:  # has no name where that goes
            probe.write(b"\0" * 4096)
    except OSError as error:
        raise StorageError.of(error, folder, setting) from error


def remove(path: Path) -> None:
    """Removes a file, a folder or a link, whichever is there; follows no link.

    Raises:
      StorageError: it cannot be removed, or not all that is in it.
    """
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError.of(error, path) from error
