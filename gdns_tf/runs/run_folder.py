"""The folder of a training run: what lies in it, and that nothing in it is ever half-written."""

import csv
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gdns_tf.training.config import TrainConfig
from gdns_tf.flags import read_config, replayable
from pipelines.config import DataConfig
from pipelines.errors import InputError


class RunFolder:
    """`flags.txt`, `metrics.json`, `weights.npz`, `history.csv`, `checkpoints/`, `tensorboard/`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.flags = self.path / "flags.txt"
        self.metrics = self.path / "metrics.json"
        self.weights = self.path / "weights.npz"
        self.history = self.path / "history.csv"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"

    @classmethod
    def open(cls, data: DataConfig, config: TrainConfig) -> "RunFolder":
        """Finds or makes the folder of a run; what it holds stays as it is until `claim`.

        Raises:
          InputError: the folder cannot be written, holds a run with other flags, or holds something else.
        """
        if not config.output_dir:
            raise InputError(
                "--output_dir is not set", remedy="Name a folder for the run, such as --output_dir=runs/first."
            )
        folder = cls(config.output_dir)
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            probe = folder.path / f".writable.{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror}", path=folder.path, remedy="Choose another --output_dir."
            ) from None
        if folder.flags.exists():
            if not config.overwrite:
                folder._check_same_run(data, config)
        elif any(folder.path.iterdir()):
            raise InputError(
                "the folder is not empty and holds no run", path=folder.path, remedy="Choose another --output_dir."
            )
        return folder

    def claim(self, data: DataConfig, config: TrainConfig) -> None:
        """Makes the folder that of this run, once nothing can go wrong with the input any more.

        With `config.overwrite` a former run goes.
        """
        if config.overwrite:
            self._clear()
        write_whole(self.flags, replayable([data, replace(config, overwrite=False)]))

    def _clear(self) -> None:
        for part in (self.flags, self.metrics, self.weights, self.history):
            part.unlink(missing_ok=True)
        for part in (self.checkpoints, self.tensorboard):
            shutil.rmtree(part, ignore_errors=True)

    def _check_same_run(self, data: DataConfig, config: TrainConfig) -> None:
        former_data, former = read_config(self.flags, DataConfig), read_config(self.flags, TrainConfig)
        changed = [(name, former, config) for name in config.changes(former)]
        changed += [(name, former_data, data) for name in data.changes(former_data)]
        if changed:
            name, before, now = changed[0]
            raise InputError(
                f"the folder holds a run with --{name}={getattr(before, name)}, not {getattr(now, name)}"
                + (f" ({len(changed) - 1} more flags differ)" if len(changed) > 1 else ""),
                path=self.path,
                remedy="Choose another --output_dir, or start afresh with --overwrite.",
            )

    def start_history(self, columns: Sequence[str], last_epoch: int) -> None:
        """Begins `history.csv`, or cuts off what a resumed run will do again."""
        rows = []
        if self.history.exists():
            with self.history.open(newline="") as file:
                rows = [
                    row for row in csv.DictReader(file) if row["epoch"].isdigit() and int(row["epoch"]) <= last_epoch
                ]
        lines = [",".join(columns)] + [",".join(row[column] for column in columns) for row in rows]
        write_whole(self.history, "\n".join(lines) + "\n")

    def add_history(self, row: dict[str, float]) -> None:
        """Appends a row, its values in the order of the columns."""
        with self.history.open("a") as file:
            file.write(",".join(f"{value:.6g}" for value in row.values()) + "\n")

    def write_metrics(self, metrics: dict) -> None:
        write_whole(self.metrics, json.dumps(metrics, indent=2) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Writes a file that appears whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(text)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
