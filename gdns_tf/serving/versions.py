"""Numbered version folders of a model, each of which appears whole or not at all."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import InputError

_UNFINISHED = ".unfinished-"
"""What an unfinished version's name begins with: TensorFlow Serving looks at names that are numbers only."""


@contextlib.contextmanager
def new_version(export_dir: Path, version: int | None = None) -> Iterator[tuple[int, Path]]:
    """A folder to write a version into, which takes its place when the block ends, and goes if it fails.

    The folder is locked as long as its process lives, so that exports at the same time take different numbers, and what
    a killed one left is told from what another is still writing, and is deleted.

    Args:
      export_dir: the folder of the model; it is made.
      version: the number; None: one above the highest that is there or being written.

    Yields:
      The number and the hidden folder.

    Raises:
      InputError: the folder cannot be written, or the version is there already.
    """
    remedy = "Choose another --export_dir, or make room."
    try:
        number, unfinished, lock = _reserve(export_dir, version)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", path=export_dir, remedy=remedy) from None
    try:
        yield number, unfinished
        _sync(unfinished)
        os.rename(unfinished, export_dir / str(number))
        _sync_one(export_dir)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise InputError(f"cannot be written: {error.strerror or error}", path=export_dir, remedy=remedy) from error
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def _reserve(export_dir: Path, version: int | None) -> tuple[int, Path, int]:
    """Makes and locks the hidden folder of a version; returns the number, the folder and the lock."""
    export_dir.mkdir(parents=True, exist_ok=True)
    with _locked(export_dir):
        for path in export_dir.glob(f"{_UNFINISHED}*"):
            _delete_if_abandoned(path)
        names = [path.name.removeprefix(_UNFINISHED) for path in export_dir.iterdir()]
        taken = {int(name) for name in names if name.isascii() and name.isdigit()}
        number = max(taken, default=0) + 1 if version is None else version
        if number in taken:
            raise InputError(
                f"version {number} is there already, or is being written",
                path=export_dir,
                remedy="Leave out --version to take the next free number.",
            )
        unfinished = export_dir / f"{_UNFINISHED}{number}"
        unfinished.mkdir()
        lock = os.open(unfinished, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return number, unfinished, lock


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _delete_if_abandoned(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return  # it was finished a moment ago
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # its process lives
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    """Brings all files and folders to the disk, so that not even a power cut shows the version without its content."""
    for parent, _, files in os.walk(folder):
        for name in files:
            _sync_one(Path(parent, name))
        _sync_one(Path(parent))


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
