"""A trial: one training run of a study, in a folder that its flags alone name, so that studies share trials."""

import functools
import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gdns_tf.evaluation.baselines import BASELINES
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.flags import replayable
from gdns_tf.models.weights_file import save_factors
from gdns_tf.runs.history import read_history
from gdns_tf.runs.loading import load_model
from gdns_tf.runs.run import KS
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.train import train
from gdns_tf.studies import false_negatives
from gdns_tf.training.config import TrainConfig
from pipelines.atomic import whole
from pipelines.config import DataConfig
from pipelines.load import load_dataset
from pipelines.split import Split

SPLITS = ("valid", "test")


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
    """Of the baselines, which have no flags."""

    @property
    def key(self) -> str:
        """12 hex digits of all that the outcome depends on but the files' contents: flags, task, sampler's revision."""
        told = [replayable([replace(self.data, data_dir="")]), self.task, str(self.options)]
        if self.task in BASELINES:
            told.append(f"dim={self.config.dim} seed={self.config.seed}")
        else:
            config = replace(self.config, output_dir="", overwrite=False, tensorboard=False)
            told += [replayable([config]), f"revision {config.sampler_class.revision}"]
        text = "\n".join(told)
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
    """Column -> a value for each validation; empty for baselines."""
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
    try:
        dataset = TASKS[trial.task](trial, dataset, config)
    except FloatingPointError as error:
        failed.write_text(str(error))
        return str(error)
    factors = load_model(folder, dataset)
    ranks = {split: evaluate(factors, dataset, split=split).ranks.astype(np.int32) for split in SPLITS}
    with whole(folder / "ranks.npz") as unfinished:
        np.savez_compressed(unfinished, **ranks)
    shutil.rmtree(RunFolder(folder).checkpoints, ignore_errors=True)  # large, and done with
    return ""


def read_result(trial: Trial, root: Path) -> Result | None:
    """The outcome of a trial; None if it is not done or failed."""
    folder = RunFolder(trial.folder(root))
    if not (folder.path / "ranks.npz").exists():
        return None
    with np.load(folder.path / "ranks.npz") as file:
        ranks = {split: file[split] for split in SPLITS}
    return Result(trial, folder.read_metrics(), ranks, read_history(folder.history), folder.path)


@functools.lru_cache(maxsize=2)
def _dataset(data: DataConfig) -> Split:
    return load_dataset(data)


def _train(trial: Trial, split: Split, config: TrainConfig) -> Split:
    train(split, trial.data, config, progress=False)
    return split


def _train_watched(trial: Trial, split: Split, config: TrainConfig) -> Split:
    moved = false_negatives.move_positives(split, config.seed)
    watch = false_negatives.Watch(moved, Path(config.output_dir))
    train(moved, trial.data, config, [watch], progress=False)
    return moved


def _baseline(trial: Trial, split: Split, config: TrainConfig) -> Split:
    folder = RunFolder.open(trial.data, config)
    folder.claim(trial.data, config)
    began = time.monotonic()
    factors = BASELINES[trial.task](split.train, dim=config.dim, seed=config.seed, **dict(trial.options))
    seconds = time.monotonic() - began
    save_factors(folder.weights, factors)
    means = {held_out: evaluate(factors, split, split=held_out, ks=KS).means() for held_out in SPLITS}
    folder.write_metrics(
        {"stopped_by": "end", "epochs": 1, "best_epoch": 1, **means, "seconds": seconds, "seconds_per_epoch": seconds}
        | {"data_fingerprint": split.fingerprint}
    )
    return split


TASKS: dict[str, Callable[[Trial, Split, TrainConfig], Split]] = {
    "train": _train,
    "false_negatives": _train_watched,
    **dict.fromkeys(BASELINES, _baseline),
}
"""Each trains in the folder `config.output_dir` and returns the data that its weights are of."""
