"""The checkpoints of a run: the two newest are kept, with checksums, so that a damaged one is not the end of it."""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipelines.atomic import is_temporary, remove, write_text, writing
from pipelines.errors import InputError, StorageError
from pipelines.notices import notices
from pipelines.shares import Share
from pipelines.tf_files import tf_writing

INDEX = "checkpoint"
"""The file in which TensorFlow looks for the newest checkpoint."""
KEPT = 2
_CHECKSUMS = ".sha256"
"""What the name of the file ends in that is written last of a checkpoint; in the form that `sha256sum -c` reads."""
_OF_A_CHECKPOINT = re.compile(r"ckpt-([0-9]{1,18})(\..*|_temp.*)")
OF_A_WORKER = re.compile(r"worker-[0-9]{1,9}")
"""Folders of what workers keep of their own users: see `gdns_tf.runs.worker_checkpoints`."""
_FINGERPRINT = "state/data_fingerprint/.ATTRIBUTES/VARIABLE_VALUE"
_STARTS = "replicas/starts/.ATTRIBUTES/VARIABLE_VALUE"


class Checkpoints:
    """Saves and restores what a run has learnt. `checkpoints/` belongs to one process: see `gdns_tf.runs.lock`."""

    def __init__(
        self,
        folder: Path,
        large: Iterable[tf.Variable] = (),
        *,
        kept: int = KEPT,
        share: Share | None = None,
        **objects: tf.Module,
    ) -> None:
        """Args:
        folder: made at the first checkpoint.
        large: variables, of `objects`, whose memory is given back before they are restored: else it is taken twice.
        kept: how many checkpoints to keep.
        share: of one of several replicas that train together; what they keep of users fits no other shares.
        **objects: what a checkpoint holds, "state" with the data's fingerprint among it.
        """
        self._folder, self._large, self._most = folder, list(large), kept
        self._starts = share.starts if share and share.of > 1 else ()
        if self._starts:
            objects["replicas"] = tf.Module()
            objects["replicas"].starts = tf.Variable(np.array(self._starts), trainable=False)
        self._checkpoint = tf.train.Checkpoint(**objects)
        self._kept: list[int] = []
        """Numbers of the checkpoints that are there and whole, as far as is known; the newest last."""

    @property
    def exist(self) -> bool:
        """Whether a checkpoint was restored or saved."""
        return bool(self._kept)

    def restore(self, data_fingerprint: str) -> None:
        """Restores the newest checkpoint that is not damaged, if there is any; says so if it is not the newest.

        Raises:
          InputError: all are damaged, it was made on other data, or by another version of this package.
        """
        damaged: list[str] = []
        for number in numbers(self._folder):
            if fault := self.fault(number, data_fingerprint):
                damaged.append(fault)
                continue
            self.read(number)
            if damaged:
                notices.warning("%s: %s. Going on from the checkpoint before.", self._folder, "; ".join(damaged))
            return
        if damaged:
            raise all_damaged(damaged, self._folder)

    def fault(self, number: int, data_fingerprint: str) -> str:
        """What is wrong with a checkpoint; empty where it is whole.

        Raises:
          InputError: it was made on other data, by another number of replicas, or by such as had other users.
        """
        try:
            _check(self._folder, number)
            stored = tf.train.load_checkpoint(self._prefix(number))
            made_on = stored.get_tensor(_FINGERPRINT).decode()
            starts = tuple(stored.get_tensor(_STARTS).tolist()) if stored.has_tensor(_STARTS) else ()
        except (OSError, ValueError, tf.errors.OpError) as error:  # OpErrors are of those without checksums
            return f"{_name(number)} is damaged ({_first_line(error)})"
        if made_on != data_fingerprint:
            raise InputError(
                f"the checkpoint was made on data {made_on}, and the data is now {data_fingerprint}",
                path=self._folder.parent,
                remedy="Give the same data, or start afresh with `overwrite`.",
            )
        if len(starts) != len(self._starts):
            before, now = (max(len(found) - 1, 1) for found in (starts, self._starts))
            raise InputError(
                f"the run was begun by {before} replicas (devices of all workers), and now there are {now}",
                path=self._folder.parent,
                remedy="Start as many as there were, or start afresh with `overwrite`.",
            )
        if starts != self._starts:
            raise InputError(
                "the run was begun on the same data in other shards, by which its replicas had other users",
                path=self._folder.parent,
                remedy="Give the shards that there were, or start afresh with `overwrite`.",
            )
        return ""

    def read(self, number: int) -> None:
        """Restores a checkpoint that is whole.

        Raises:
          InputError: another version of this package made it.
        """
        self._read(number)
        self._kept = [n for n in reversed(numbers(self._folder)) if n <= number]

    def _read(self, number: int) -> None:
        for variable in self._large:
            # The operation itself does not look at shapes; what is restored is of the right one again.
            with tf.device(variable.device):
                nothing = tf.zeros([0] * max(1, variable.shape.rank), variable.dtype)
                tf.raw_ops.AssignVariableOp(resource=variable.handle, value=nothing)
        try:
            self._checkpoint.read(self._prefix(number)).assert_consumed()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise InputError(
                f"{_name(number)} does not fit the run ({_first_line(error)})",
                path=self._folder,
                remedy="Another version of gdns_tf wrote it: go on with that one, or start afresh with `overwrite`.",
            ) from None

    @property
    def next_number(self) -> int:
        """Of the checkpoint that `save` would make."""
        return max(self._kept, default=0) + 1

    def save(self, number: int | None = None) -> None:
        """Saves another checkpoint; whatever breaks it off, the former ones stay.

        Args:
          number: the checkpoint's, above those of all that are kept; None: the next.

        Raises:
          StorageError: it cannot be written.
        """
        number = number or self.next_number
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
        self._remove_but(self._kept)
        try:
            with tf_writing(self._folder):
                self._checkpoint.write(self._prefix(number))
        except StorageError:
            self._remove_but(self._kept)
            raise
        sums = "".join(f"{_sum(path)}  {path.name}\n" for path in _parts(self._folder, number))
        write_text(self._folder / f"{_name(number)}{_CHECKSUMS}", sums)
        self._kept = [*self._kept, number][-self._most :]
        paths = [f'all_model_checkpoint_paths: "{_name(kept)}"' for kept in self._kept]
        write_text(self._folder / INDEX, "\n".join([f'model_checkpoint_path: "{_name(number)}"', *paths, ""]))
        self._remove_but(self._kept)

    def _prefix(self, number: int) -> str:
        return str(self._folder / _name(number))

    def _remove_but(self, kept: Iterable[int]) -> None:
        """Removes the files of all checkpoints but some, those of unfinished ones among them."""
        with writing(self._folder):
            for path in self._folder.iterdir():
                match = _OF_A_CHECKPOINT.fullmatch(path.name)
                if is_temporary(path.name) or (match and int(match[1]) not in kept):
                    remove(path)


def numbers(folder: Path) -> list[int]:
    """Of the checkpoints that were written to their end, the newest first; by what there is, they may be damaged."""
    if not folder.is_dir():
        return []
    names = [path.name.removesuffix(_CHECKSUMS) for path in folder.glob(f"ckpt-*{_CHECKSUMS}")]
    if (folder / INDEX).is_file():
        names += re.findall(r"ckpt-\d+", (folder / INDEX).read_text(errors="replace"))
    return sorted({int(name[5:]) for name in names if re.fullmatch("[0-9]{1,18}", name[5:])}, reverse=True)


def has_others_files(folder: Path) -> bool:
    """Whether something lies in `checkpoints/` that no run wrote, nor TensorFlow for one."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return not all(_ours(name) for name in names)


def _ours(name: str) -> bool:
    """Whether a file or folder of `checkpoints/` may be a run's."""
    kinds = _OF_A_CHECKPOINT.fullmatch(name) or OF_A_WORKER.fullmatch(name)
    return bool(kinds) or name.startswith(INDEX) or is_temporary(name)


def all_damaged(faults: Iterable[str], folder: Path) -> InputError:
    """The error where no checkpoint can be restored."""
    return InputError(
        f"{' and '.join(faults)}, and no other is there",
        path=folder,
        remedy="Start afresh with `overwrite`. Weights that are there are whole: to evaluate or export them no "
        "checkpoint is needed.",
    )


def forget(folder: Path) -> None:
    """Removes a run's checkpoints, in an order in which none of them ever looks whole and is not."""
    if folder.is_dir() and not folder.is_symlink():
        remove(folder / INDEX)
        for number in numbers(folder):
            remove(folder / f"{_name(number)}{_CHECKSUMS}")
    remove(folder)


def _name(number: int) -> str:
    return f"ckpt-{number}"


def _parts(folder: Path, number: int) -> list[Path]:
    """The files of a checkpoint that TensorFlow writes."""
    return sorted(path for path in folder.glob(f"{_name(number)}.*") if path.suffix != _CHECKSUMS)


def _check(folder: Path, number: int) -> None:
    """Raises OSError or ValueError where a checkpoint is not as it was written."""
    checksums = folder / f"{_name(number)}{_CHECKSUMS}"
    if not checksums.is_file():
        raise ValueError(f"{checksums.name} is not there")
    lines = checksums.read_text(encoding="ascii").splitlines()
    sums = {line[66:]: line[:64] for line in lines}
    if not {f"{_name(number)}.index"} < sums.keys():
        raise ValueError(f"{checksums.name} is cut short")
    for name, expected in sums.items():
        if not (folder / name).is_file():
            raise ValueError(f"{name} is not there")
        if _sum(folder / name) != expected:
            raise ValueError(f"{name} is not as it was written")


def _sum(path: Path) -> str:
    """The SHA-256 of a file, which is on the disk then."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest


def _first_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
