"""The folder of a training run: what lies in it, and that nothing in it is ever half-written."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

from gdns_tf.flags import read_config, replayable
from gdns_tf.training.config import TrainConfig
from pipelines.atomic import is_temporary, write_text
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.paths import as_path, is_remote

_PROBE = ".writable."


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

    @property
    def refit(self) -> "RunFolder":
        """The folder of the second training, which there may be."""
        return RunFolder(self.path / "refit")

    @classmethod
    def open(cls, data: DataConfig, config: TrainConfig) -> "RunFolder":
        """Finds or makes the folder `config.output_dir`; see `prepare`.

        Raises:
          InputError: it is not set; or as `prepare`.
        """
        if not config.output_dir:
            raise InputError(
                "`output_dir` is not set", remedy="Name a folder for the run, such as `output_dir`=runs/first."
            )
        folder = cls(config.output_dir)
        folder.prepare(data, config)
        return folder

    def prepare(self, data: DataConfig, config: TrainConfig) -> None:
        """Makes the folder where there is none; what it holds stays as it is until `claim`.

        Raises:
          InputError: the folder cannot be written, holds a run with other settings, or holds something else.
        """
        self._check_writable()
        if self.flags.exists():
            begun = self.has_checkpoint or self.weights.exists()  # else nothing is there that could be lost
            if begun and not config.overwrite:
                self._check_same_run(data, config)
        elif self.path.exists() and any(not _is_ours(path.name) for path in self.path.iterdir()):
            raise InputError(
                "the folder is not empty and holds no run", path=self.path, remedy="Choose another `output_dir`."
            )

    def _check_writable(self) -> None:
        probe = self.path / f"{_PROBE}{os.getpid()}"
        try:
            if not is_remote(self.path):  # a store has no folders: they are but the beginnings of the names of files
                self.path.mkdir(parents=True, exist_ok=True)
            write_text(probe, "")
            probe.unlink()
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror or error}", path=self.path, remedy="Choose another `output_dir`."
            ) from None
        except InputError as error:
            raise InputError(
                f"cannot be written: {error.__cause__}",
                path=self.path,
                remedy="Check the address, the network and your credentials, or choose another `output_dir`.",
            ) from error

    def claim(self, data: DataConfig, config: TrainConfig) -> None:
        """Makes the folder that of this run, once nothing can go wrong with the input any more.

        With `config.overwrite` a former run goes.
        """
        if config.overwrite:
            self.clear()
        write_text(self.flags, replayable([data, replace(config, overwrite=False)]))

    def clear(self) -> None:
        """Removes the former run but for `flags.txt`, by which the folder stays that of a run if this is broken off."""
        for part in (self.metrics, self.weights, self.history, self.data, self.trained_on, self.start):
            part.unlink(missing_ok=True)
        for part in (self.checkpoints, self.tensorboard, self.refit.path):
            shutil.rmtree(part, ignore_errors=True)

    def _check_same_run(self, data: DataConfig, config: TrainConfig) -> None:
        former_data, former = read_config(self.flags, DataConfig), read_config(self.flags, TrainConfig)
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
        return (self.checkpoints / "checkpoint").exists()

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
        except (TypeError, ValueError):
            raise InputError("this is not the JSON object that training writes", path=self.metrics) from None


def _is_ours(name: str) -> bool:
    """Whether a file may be what a run left that was killed before it had begun."""
    return name.startswith(_PROBE) or is_temporary(name)
