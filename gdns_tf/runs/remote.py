"""Runs in object stores: a run works in a folder of this machine, and the store gets what changed at every checkpoint.

TensorFlow's checkpoints and summaries know no store but gs://, and in none can a file be appended to; so all stores are
served alike. No store knows locks: that no two processes train at one address is for the user to see to. What makes a
run come back is the order of the uploads: see `Mirror.upload`.
"""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from gdns_tf.runs.callbacks import Callback, RunView
from gdns_tf.runs.checkpoints import INDEX, numbers
from gdns_tf.runs.interrupts import Interrupted
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.tensorboard.finished import KEPT
from pipelines.errors import InputError
from pipelines.notices import notices
from pipelines.paths import RemotePath

_RANK = {"flags.txt": 0, "weights.npz": 2, INDEX: 3}
"""In the order of uploads, of the files that must come before or after all others, which are of rank 1."""


@contextlib.contextmanager
def mirrored(remote: RunFolder, *, afresh: bool = False) -> Iterator["Mirror"]:
    """A temporary folder of this machine that holds what the run in the store does; at the end the store gets it back.

    It does so too where the block is left by `Interrupted`; after any other error it keeps what it had. A folder that
    cannot be uploaded at the end is not lost: the error says where it lies.

    Args:
      remote: the run in the store.
      afresh: whether to begin with an empty folder; the first `upload` then removes the run from the store.

    Raises:
      InputError: the store cannot be reached.
    """
    with tempfile.TemporaryDirectory(prefix="gdns_tf-") as temporary:
        mirror = Mirror(remote, Path(temporary, "run"), afresh)
        try:
            yield mirror
        except Interrupted:
            mirror.finish()
            raise
        mirror.finish()


class Mirror:
    """The folder of a run on this machine, and what the store holds of it."""

    def __init__(self, remote: RunFolder, folder: Path, afresh: bool) -> None:
        """Args:
        remote: the run in the store.
        folder: to make.
        afresh: whether it begins empty, not with what the store holds.
        """
        self.folder = RunFolder(folder)
        self._remote = remote.path
        self._there: dict[str, tuple[int, int] | None] = {
            path.relative_to(remote.path).as_posix(): None for path in _files_of(remote)
        }
        """Name of each file of the run in the store -> time and size of the file here that it is a copy of, if any."""
        folder.mkdir()
        if not afresh:
            self._download()

    def _download(self) -> None:
        # Curves are only added to, by files of new names: they stay where they are, but for what came of a former end.
        self._there = {n: None for n in self._there if not _within(n, "tensorboard") or n.endswith(KEPT)}
        for name in self._there:
            if not _is_shard(name):
                self._get(name)
        current = {path for run in (self.folder, self.folder.refit) for path in _named(run.checkpoints)}
        for name in list(self._there):
            # Those of other checkpoints are left overs of a process that was killed; the next upload removes them.
            if _is_shard(name) and self.folder.path / PurePosixPath(name).with_suffix("") in current:
                self._get(name)

    def upload(self) -> None:
        """Brings the store up to date; whatever breaks it off, the run there can be gone on with and ends the same.

        First goes what is no more: that is only where a run starts afresh. What the former one is gone on from, or
        read from, is the first of that to go; its flags stay. Next come the flags, without which it is no run; the
        history, before the checkpoint whose rows it must hold (rows beyond it are done again); the weights, which make
        it a finished one; and when all files of the checkpoint are there, the index that names them. The former
        checkpoint's files go last.

        Raises:
          InputError: the store cannot be reached.
        """
        files = [path for path in self.folder.path.rglob("*") if path.is_file()]
        here = {path.relative_to(self.folder.path).as_posix(): _signature(path) for path in files}
        gone = self._there.keys() - here.keys()
        shards = {name for name in gone if _is_shard(name)}
        former = {name for name, copied in self._there.items() if copied is None and _rank(name) > 1}
        for name in reversed(_in_order((gone | former) - shards)):
            self._delete(name)
        for name in _in_order(here):
            if self._there.get(name) != here[name]:
                self._remote.joinpath(name).upload(self.folder.path / name)
                self._there[name] = here[name]
        for name in _in_order(shards):
            self._delete(name)

    def finish(self) -> None:
        """The last upload.

        Raises:
          InputError: the store cannot be reached; says where the folder is kept.
        """
        try:
            self.upload()
        except (InputError, OSError) as error:
            kept = Path(tempfile.mkdtemp(prefix="gdns_tf-kept-"), "run")
            self.folder.path.rename(kept)
            raise InputError(
                f"cannot be written: {error.__cause__ or error}",
                path=str(self._remote),
                remedy=f"It is kept whole in {kept}: copy it when the store can be reached.",
            ) from error

    def _get(self, name: str) -> None:
        local = self.folder.path / name
        local.parent.mkdir(parents=True, exist_ok=True)
        self._remote.joinpath(name).download(local)
        self._there[name] = _signature(local)

    def _delete(self, name: str) -> None:
        self._remote.joinpath(name).unlink(missing_ok=True)
        del self._there[name]


class Uploads(Callback):
    """Brings the store up to date at each checkpoint; must come after all callbacks that write files."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def on_start(self, run: RunView) -> None:
        self._mirror.upload()

    def on_save(self, run: RunView) -> None:
        try:
            self._mirror.upload()
        except InputError as error:  # which may pass; training should not be lost over it
            notices.warning("%s The next checkpoint will be uploaded again.", error)


def _files_of(run: RunFolder) -> Iterator[RemotePath]:
    """The files of a run in a store. Nothing else that lies there is ours to touch."""
    if not run.path.exists():
        return
    there = {path.name for path in run.path.iterdir()}
    for file in (run.flags, run.metrics, run.weights, run.history, run.data, run.trained_on, run.start):
        if file.name in there:
            yield file
    for folder in (run.checkpoints, run.tensorboard):
        if folder.name in there:
            yield from folder.iterdir()
    if run.refit.path.name in there:
        yield from _files_of(run.refit)


def _in_order(names: Iterable[str]) -> list[str]:
    """Of upload; that of removal is the reverse. Among equals a run comes before its `refit`, but for the weights."""
    return sorted(names, key=lambda name: (_rank(name), name))


def _rank(name: str) -> int:
    return _RANK.get(PurePosixPath(name).name, 1)


def _is_shard(name: str) -> bool:
    """Whether it is a file of one checkpoint, as `ckpt-3.index`."""
    return _within(name, "checkpoints") and PurePosixPath(name).name != INDEX


def _within(name: str, folder: str) -> bool:
    return PurePosixPath(name).parent.name == folder


def _named(checkpoints: Path) -> list[Path]:
    """The beginnings of the names of the files of the checkpoints that the index names."""
    return [checkpoints / f"ckpt-{number}" for number in numbers(checkpoints)]


def _signature(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
