"""Numbered version folders of a model, each of which appears whole or not at all."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from gdns_tf.serving import remote_versions
from gdns_tf.serving.version_numbers import is_number, next_number, superseded
from pipelines.atomic import check_writable, made
from pipelines.errors import StorageError
from pipelines.notices import notices
from pipelines.paths import as_path, is_remote

_UNFINISHED = ".unfinished-"
"""What an unfinished version's name begins with: TensorFlow Serving looks at names that are numbers only."""
_REMOVED = ".removed-"
"""What the name of a version begins with that is being removed, for the same reason."""
_GRAPH = "saved_model.pb"


@contextlib.contextmanager
def new_version(export_dir: str | os.PathLike, version: int | None = None) -> Iterator[tuple[Path, Path]]:
    """A folder to write a version into, which takes its place when the block ends, and goes if it fails.

    On this machine the folder is locked as long as its process lives, so that exports at the same time take different
    numbers, and what a killed one left is told from what another is still writing, and is deleted. In an object store
    there are no locks, nor on NFS: of two exports at the same time one may fail.

    Args:
      export_dir: the folder of the model, here or in an object store; it is made.
      version: the number; None: one above the highest that is there or being written.

    Yields:
      Where the version will be, whose name is its number; and the folder of this machine to write into.

    Raises:
      InputError: the folder cannot be written, or the version is there already.
    """
    path = as_path(export_dir)
    made = remote_versions.new_version(path, version) if is_remote(path) else _new_local(path.absolute(), version)
    with made as published_and_folder:
        yield published_and_folder


def remove_superseded(published: os.PathLike, keep: int) -> list[int]:
    """Removes versions that a new one has superseded, so that a nightly export does not fill the disk.

    The new version stays, whatever its number, and so do newer ones, those that are being written, and whatever is no
    finished version. A version vanishes at once, so that a server never finds a part of one; one that has it in memory
    needs its files no more. What could not be removed is said, and stays: the export has succeeded.

    Args:
      published: where the new version is, here or in an object store.
      keep: how many versions to keep, the new one among them.

    Returns:
      The numbers of the versions that were removed.
    """
    published = as_path(published)
    export_dir, written, removed = published.parent, int(published.name), []
    try:
        if is_remote(export_dir):
            for number in superseded(remote_versions.complete_versions(export_dir), written, keep):
                remote_versions.remove_version(export_dir, number)
                removed.append(number)
        else:
            with _locked(export_dir):
                for number in superseded(_complete(export_dir), written, keep):
                    os.rename(export_dir / str(number), export_dir / f"{_REMOVED}{number}")
                    removed.append(number)
                _delete_removed(export_dir)
    except Exception as error:  # stores have errors of their own, of no common base
        notices.warning("Not all versions that `keep_versions`=%d leaves over could be removed: %s", keep, error)
    if removed:
        numbers = ", ".join(map(str, removed))
        notices.info("Removed version%s %s: `keep_versions`=%d", "s" * (len(removed) > 1), numbers, keep)
    return removed


def check_export_dir(export_dir: str | os.PathLike, version: int | None = None) -> None:
    """Raises InputError where `new_version` could make no folder, as far as can be told without making one."""
    path = as_path(export_dir)
    if is_remote(path):
        remote_versions.free_number(path, version)
        return
    check_writable(path, "export_dir")
    with _written(path):
        names = [entry.name for entry in path.iterdir()] if path.exists() else []  # fails where it is a file
    next_number(names, version, path.absolute())


@contextlib.contextmanager
def _new_local(export_dir: Path, version: int | None) -> Iterator[tuple[Path, Path]]:
    with made(export_dir), _new_in(export_dir, version) as published_and_folder:
        yield published_and_folder


@contextlib.contextmanager
def _new_in(export_dir: Path, version: int | None) -> Iterator[tuple[Path, Path]]:
    with _written(export_dir):
        number, unfinished, lock = _reserve(export_dir, version)
    published = export_dir / str(number)
    try:
        with _written(export_dir):
            yield published, unfinished
            _sync(unfinished)
            os.rename(unfinished, published)
            _sync_one(export_dir)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    finally:
        os.close(lock)


@contextlib.contextmanager
def _written(export_dir: Path) -> Iterator[None]:
    """Makes a StorageError of what the system has against writing."""
    try:
        yield
    except OSError as error:
        raise StorageError.of(error, export_dir, "export_dir") from error


def _reserve(export_dir: Path, version: int | None) -> tuple[int, Path, int]:
    """Makes and locks the hidden folder of a version; returns the number, the folder and the lock."""
    with _locked(export_dir):
        for path in export_dir.glob(f"{_UNFINISHED}*"):
            _delete_if_abandoned(path)
        with contextlib.suppress(OSError):  # what is left of them is seen by nobody
            _delete_removed(export_dir)
        names = [path.name.removeprefix(_UNFINISHED) for path in export_dir.iterdir()]
        number = next_number(names, version, export_dir)
        unfinished = export_dir / f"{_UNFINISHED}{number}"
        unfinished.mkdir()
        lock = os.open(unfinished, os.O_RDONLY)
        _lock(lock, fcntl.LOCK_EX)
    return number, unfinished, lock


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if not _lock(descriptor, fcntl.LOCK_EX):
            notices.warning(
                "%s: its file system has no locks for folders. See that no other process exports there.", folder
            )
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, operation: int) -> bool:
    """Locks an open folder; False where the file system cannot: NFS locks only what can be opened to write to.

    Raises:
      BlockingIOError: another process has, and it is not to be waited for.
    """
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def _delete_if_abandoned(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return  # it was finished a moment ago; or it is no folder, and none of ours
    try:
        if _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # its process lives
    finally:
        os.close(descriptor)


def _complete(export_dir: Path) -> list[int]:
    """Numbers of the folders that hold a SavedModel."""
    return [int(path.parent.name) for path in export_dir.glob(f"*/{_GRAPH}") if is_number(path.parent.name)]


def _delete_removed(export_dir: Path) -> None:
    """Deletes what was renamed to be removed, and what a kill left of it."""
    for path in export_dir.glob(f"{_REMOVED}*"):
        if path.is_symlink():
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path)


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
