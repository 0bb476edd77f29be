"""The folder of a training run: what lies in it, and that nothing in it is ever half-written."""

import json
from dataclasses import replace
from pathlib import Path

from gdns_tf.flags import read_config, replayable
from gdns_tf.runs import checkpoints
from gdns_tf.runs.lock import LOCK, STUDY_LOCK, check_free
from gdns_tf.training.config import TrainConfig
from pipelines.atomic import check_writable, is_temporary, remove, write_text, writing
from pipelines.config import DataConfig
from pipelines.errors import InputError, StorageError
from pipelines.load import SAVED
from pipelines.paths import as_path, is_remote

_PROBE = ".writable."
"""What the name begins with of a file by which it is tried whether an object store can be written."""


class RunFolder:
    """`flags.txt`, `metrics.json`, `weights.npz`, `history.csv`, `checkpoints/`, `tensorboard/`.

    There is also `trained_on.npz`, the raw ids and who had what, which a run needs that begins from this one. There may
    be `refit/`, the folder of a second training with the held-out items; `start.npz`, the weights that a run began
    with which began from another's; and `data.npz`, the data of a run that was not read from files.

    A folder in an object store can be opened and read. What trains works in one of this machine: see
    `gdns_tf.runs.remote`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = as_path(path)
        self.flags = self.path / "flags.txt"
        self.metrics = self.path / "metrics.json"
        self.weights = self.path / "weights.npz"
        self.history = self.path / "history.csv"
        self.data = self.path / "data.npz"
        self.trained_on = self.path / "trained_on.npz"
        self.start = self.path / "start.npz"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self._files = (self.metrics, self.weights, self.history, self.data, self.trained_on, self.start)
        """All but the flags."""

    @property
    def refit(self) -> "RunFolder":
        """The folder of the second training, which there may be."""
        return RunFolder(self.path / "refit")

    @classmethod
    def open(cls, data: DataConfig, config: TrainConfig) -> "RunFolder":
        """Finds the folder `config.output_dir`, or where it can be made; see `prepare`.

        Raises:
          InputError: it is not set; or as `prepare`.
        """
        if not config.output_dir:
            raise InputError(
                "`output_dir` is not set", remedy="Name a folder for the run, such as `output_dir`=runs/first."
            )
        folder = cls(config.output_dir)
        check_free(folder.path)
        folder.prepare(data, config)
        return folder

    def prepare(self, data: DataConfig, config: TrainConfig) -> None:
        """Finds out whether the run can be trained in the folder; all stays as it is until `claim`.

        Raises:
          InputError: the folder cannot be written, holds a run with other settings, or holds something else.
        """
        self._check_writable()
        if self.flags.exists():
            if self.is_begun and not config.overwrite:
                self._check_same_run(data, config)
        elif self.path.exists():
            self._check_is_ours(config)

    def _check_is_ours(self, config: TrainConfig) -> None:
        """Of a folder without flags."""
        found = {path.name for path in self.path.iterdir() if not self.is_leftover(path.name)}
        is_rest_of_a_run = found <= self.names and any(not name.endswith(".npz") for name in found)  # may be anybody's
        is_rest_of_a_run &= not checkpoints.has_others_files(self.checkpoints)
        if is_rest_of_a_run and not config.overwrite:
            raise InputError(
                f"the folder holds {', '.join(sorted(found))} of a run, but not its {self.flags.name}",
                path=self.path,
                remedy="Choose another `output_dir`, or start afresh with `overwrite`.",
            )
        if found and not is_rest_of_a_run:
            raise InputError(
                "the folder is not empty and holds no run", path=self.path, remedy="Choose another `output_dir`."
            )

    def _check_writable(self) -> None:
        if not is_remote(self.path):
            check_writable(self.path, "output_dir")
            return
        probe = self.path / f"{_PROBE}probe"
        try:
            write_text(probe, "")
            probe.unlink()
        except InputError as error:
            raise StorageError(
                f"cannot be written: {error.__cause__}",
                path=self.path,
                remedy="Check the address, the network and your credentials, or choose another `output_dir`.",
            ) from error

    def settled(self, config: TrainConfig, num_users: int, num_items: int) -> TrainConfig:
        """A run with what it leaves open decided: as it was for the run in the folder, if that is gone on with.

        Raises:
          InputError: what it asks for, or what was decided on another machine, does not fit into memory.
        """
        if self.is_begun and not config.overwrite:
            config = config.settled_as(read_config(self.flags, TrainConfig))
        return config.settled(num_users, num_items)

    def claim(self, data: DataConfig, config: TrainConfig) -> None:
        """Makes the folder that of this run, once nothing can go wrong with the input any more. It must be locked.

        With `config.overwrite` a former run goes; and in any case what is left of one that has come to nothing, or was
        half removed.

        Raises:
          StorageError: the folder cannot be written.
        """
        if config.overwrite or not self.is_begun:
            self.clear(keep_data=data.dataset == SAVED and data.data_dir == str(self.data))
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for path in self.path.iterdir():
                if path.name not in (LOCK, STUDY_LOCK) and self.is_leftover(path.name):
                    remove(path)
        write_text(self.flags, replayable([data, replace(config, overwrite=False)]))

    def clear(self, *, keep_data: bool = False) -> None:
        """Removes the former run but for `flags.txt`, by which the folder stays that of a run if this is broken off.

        First goes what it is gone on from, or read from.

        Args:
          keep_data: whether `data.npz` stays: where a run reads it, until it is replaced.

        Raises:
          StorageError: something cannot be removed.
        """
        files = [path for path in self._files if path != self.data or not keep_data]
        for path in (self.checkpoints, self.weights, *files, *self._folders):
            checkpoints.forget(path) if path == self.checkpoints else remove(path)

    @property
    def names(self) -> set[str]:
        """Of all that a run may have in its folder."""
        return {path.name for path in (self.flags, *self._files, *self._folders)}

    @property
    def _folders(self) -> tuple[Path, ...]:
        return self.checkpoints, self.tensorboard, self.refit.path

    def is_leftover(self, name: str) -> bool:
        """Whether a file may be what a run left that was killed."""
        names = [path.name for path in (self.flags, *self._files)]
        return name in (LOCK, STUDY_LOCK) or name.startswith((_PROBE, f".{_PROBE}")) or is_temporary(name, of=names)

    def _check_same_run(self, data: DataConfig, config: TrainConfig) -> None:
        former_data, former = read_config(self.flags, DataConfig), read_config(self.flags, TrainConfig)
        former = former.settled_as(former)
        config = config.settled_as(former)
        before, now = former.settings(), config.settings()
        changed = [(name, before.get(name), now[name]) for name in config.changes(former)]
        changed += [(name, getattr(former_data, name), getattr(data, name)) for name in data.changes(former_data)]
        if changed:
            name, was, is_now = changed[0]
            raise InputError(
                f"the folder holds a run with `{name}`={was}, not {is_now}"
                + (f" ({len(changed) - 1} more settings differ)" if len(changed) > 1 else ""),
                path=self.path,
                remedy="Choose another `output_dir`, or start afresh with `overwrite`.",
            )

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a run to go on with."""
        if is_remote(self.path):
            return (self.checkpoints / checkpoints.INDEX).exists()
        return bool(checkpoints.numbers(self.checkpoints))

    @property
    def is_begun(self) -> bool:
        """Whether there is a run of which anything could be lost."""
        return self.flags.exists() and (self.has_checkpoint or self.weights.exists())

    def write_metrics(self, metrics: dict) -> None:
        write_text(self.metrics, json.dumps(metrics, indent=2) + "\n")

    def read_metrics(self) -> dict:
        """What `metrics.json` holds; empty where there is none: the run has not ended.

        Raises:
          InputError: it is not what training writes.
        """
        if not self.metrics.exists():
            return {}
        try:
            return dict(json.loads(self.metrics.read_text()))
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}", path=self.metrics) from None
        except (TypeError, ValueError):
            raise InputError("this is not the JSON object that training writes", path=self.metrics) from None
