"""A trial: one training run of a study, in a folder that its flags alone name, so that studies share trials."""

import csv
import functools
import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.flags import replayable
from gdns_tf.models.factors import Weights
from gdns_tf.runs.run import KS, Run
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.samplers import SAMPLERS
from gdns_tf.samplers.config import without_effect
from gdns_tf.studies import false_negatives, yardstick
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.load import load_dataset
from pipelines.split import Split

SPLITS = ("valid", "test")
SAMPLED = ("train", "false_negatives")
"""Tasks that train with a sampler."""


@dataclass(frozen=True)
class Trial:
    """What to train, on what, and what to look at on the way."""

    label: str
    """Name in tables and plots."""
    data: DataConfig
    config: TrainConfig
    """Its `output_dir` plays no part."""
    task: str = "train"
    """A key of `TASKS`."""
    options: tuple[tuple[str, float], ...] = ()
    """Of the yardsticks, which have no flags."""

    @property
    def key(self) -> str:
        """12 hex digits of all that the outcome depends on but the files' contents: flags, task, sampler's revision."""
        config = replace(self.config, output_dir="", overwrite=False, tensorboard=False)
        lines = replayable([replace(self.data, data_dir=""), config]).splitlines()
        silent = without_effect(config.sampler if self.task in SAMPLED else "")
        told = [line for line in lines if line.removeprefix("--").split("=")[0] not in silent]
        if self.task in SAMPLED and (revision := SAMPLERS[config.sampler].revision) > 1:
            told.append(f"revision {revision}")
        text = "\n".join([*told, self.task, str(self.options)])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def folder(self, root: Path) -> Path:
        return root / f"{self.data.dataset.replace('/', '_').replace(':', '_')}-{self.label}-{self.key}"


@dataclass(frozen=True)
class Result:
    """What a finished trial left behind."""

    trial: Trial
    metrics: dict
    """Of `metrics.json`."""
    ranks: dict[str, np.ndarray]
    """Split -> [num_users] ranks of the held-out items."""
    history: dict[str, np.ndarray]
    """Column -> a value for each validation; empty for yardsticks."""
    folder: Path

    @property
    def seconds_to_best(self) -> float:
        """Seconds of training until the epoch with the best validation."""
        at = self.history["epoch"] == self.metrics["best_epoch"]
        return float(self.history["seconds"][at][0]) if at.any() else float(self.metrics["seconds"])


def run_trial(trial: Trial, root: Path) -> str:
    """Runs a trial, or goes on with it, unless it is done; its folder appears under `root`.

    Returns:
      "" or, if the training diverged, why; then the folder holds `failed.txt`.

    Raises:
      gdns_tf.runs.interrupts.Interrupted: by SIGINT or SIGTERM, after saving.
    """
    folder = trial.folder(root)
    if (folder / "ranks.npz").exists():
        return ""
    if (failed := folder / "failed.txt").exists():
        return failed.read_text()
    dataset = _dataset(trial.data)
    config = replace(trial.config, output_dir=str(folder), tensorboard=False)
    run_folder = RunFolder.open(trial.data, config)
    run_folder.claim(trial.data, config)
    try:
        dataset = TASKS[trial.task](trial, dataset, run_folder, config)
    except FloatingPointError as error:
        failed.write_text(str(error))
        return str(error)
    weights = Weights.load(run_folder.weights)
    ranks = {split: evaluate(weights, dataset, split=split).ranks.astype(np.int32) for split in SPLITS}
    unfinished = folder / ".ranks.tmp.npz"
    np.savez_compressed(unfinished, **ranks)
    unfinished.rename(folder / "ranks.npz")
    shutil.rmtree(run_folder.checkpoints, ignore_errors=True)  # of gain tables and memories: large, and done with
    return ""


def read_result(trial: Trial, root: Path) -> Result | None:
    """The outcome of a trial; None if it is not done or failed."""
    folder = RunFolder(trial.folder(root))
    if not (folder.path / "ranks.npz").exists():
        return None
    with np.load(folder.path / "ranks.npz") as file:
        ranks = {split: file[split] for split in SPLITS}
    history: dict[str, np.ndarray] = {}
    if folder.history.exists():
        with folder.history.open(newline="") as file:
            rows = list(csv.DictReader(file))
        history = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    return Result(trial, json.loads(folder.metrics.read_text()), ranks, history, folder.path)


@functools.lru_cache(maxsize=2)
def _dataset(data: DataConfig) -> Split:
    return load_dataset(data)


def _train(trial: Trial, dataset: Split, folder: RunFolder, config: TrainConfig) -> Split:
    run = Run(dataset, config, folder)
    run.finish(run.fit(progress=False))
    return dataset


def _train_watched(trial: Trial, dataset: Split, folder: RunFolder, config: TrainConfig) -> Split:
    moved = false_negatives.move_positives(dataset, config.seed)
    run = Run(moved, config, folder)
    run.finish(run.fit(progress=False, observer=false_negatives.Watch(moved, folder.path)))
    return moved


def _yardstick(trial: Trial, dataset: Split, folder: RunFolder, config: TrainConfig) -> Split:
    began = time.monotonic()
    weights = yardstick.train(trial.task, dataset.train, config, dict(trial.options))
    seconds = time.monotonic() - began
    weights.save(folder.weights)
    means = {split: evaluate(weights, dataset, split=split, ks=KS).means() for split in SPLITS}
    folder.write_metrics(
        {"stopped_by": "end", "epochs": 1, "best_epoch": 1, **means, "seconds": seconds, "seconds_per_epoch": seconds}
        | {"data_fingerprint": dataset.fingerprint}
    )
    return dataset


TASKS: dict[str, Callable[[Trial, Split, RunFolder, TrainConfig], Split]] = {
    "train": _train,
    "false_negatives": _train_watched,
    "popularity": _yardstick,
    "ials": _yardstick,
}
"""Each trains in the folder and returns the data that its weights are of."""
