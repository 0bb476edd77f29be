"""Version folders in an object store, such as gs://bucket/models/gdns."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from gdns_tf.serving.version_numbers import is_number, next_number
from pipelines.paths import AnyPath, RemotePath

_LAST = "saved_model.pb"


@contextlib.contextmanager
def new_version(export_dir: RemotePath, version: int | None) -> Iterator[tuple[RemotePath, Path]]:
    """See `versions.new_version`: writes into a folder of this machine, and copies it when the block ends."""
    number = free_number(export_dir, version)
    published = export_dir / str(number)
    with TemporaryDirectory() as folder:
        yield published, Path(folder)
        free_number(export_dir, number)  # another export may have taken it meanwhile
        try:
            _copy(Path(folder), published)
        except BaseException:
            with contextlib.suppress(Exception):  # where the store is gone, so is the way to tidy up
                published.rmtree()
            raise


def free_number(export_dir: RemotePath, version: int | None) -> int:
    """The number of a new version; see `next_number`.

    Raises:
      InputError: it is taken, or the store cannot be reached.
    """
    names = [path.name for path in export_dir.iterdir()] if export_dir.exists() else []
    return next_number(names, version, export_dir)


@contextlib.contextmanager
def downloaded(version: RemotePath) -> Iterator[Path]:
    """A copy of a version on this machine, which goes when the block ends.

    Raises:
      InputError: the store cannot be reached.
    """
    with TemporaryDirectory() as folder:
        local = Path(folder) / version.name
        for names, file in files_of(version):
            copy = local.joinpath(*names)
            copy.parent.mkdir(parents=True, exist_ok=True)
            file.download(copy)
        yield local


def files_of(folder: AnyPath, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], AnyPath]]:
    """The names that lead to each file of a folder, here or in a store, and the file."""
    for path in folder.iterdir():
        names = (*above, path.name)
        if path.is_dir():
            yield from files_of(path, names)
        else:
            yield names, path


def _copy(folder: Path, published: RemotePath) -> None:
    """Copies all files, the graph last.

    Object stores cannot rename a folder, but a file in them appears whole, and without the graph nothing loads: every
    loader looks for saved_model.pb first. A server that polls in the middle is told that there is no model, and
    tries again (TensorFlow Serving: a minute later, `--max_num_load_retries` times); it never loads half a version.
    """
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: (path.name == _LAST, path)):
        # There are no folders to make: they are but the beginnings of the names of files.
        published.joinpath(*path.relative_to(folder).parts).upload(path)


def complete_versions(export_dir: RemotePath) -> list[int]:
    """Numbers of the versions that were copied to their end; others may be on their way."""
    return [int(path.name) for path in export_dir.iterdir() if is_number(path.name) and (path / _LAST).exists()]


def remove_version(export_dir: RemotePath, number: int) -> None:
    """Removes a version, the graph first, so that in between it is no version rather than half of one."""
    folder = export_dir / str(number)
    (folder / _LAST).unlink()
    folder.rmtree()
