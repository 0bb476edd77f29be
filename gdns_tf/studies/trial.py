"""A trial: one training run of a study, in a folder that its flags alone name, so that studies share trials."""

import functools
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gdns_tf.evaluation import metrics
from gdns_tf.evaluation.baselines import BASELINES
from gdns_tf.evaluation.beyond_accuracy import beyond_accuracy
from gdns_tf.evaluation.metrics import Ranks
from gdns_tf.evaluation.model import Model
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.evaluation.selection import SelectionMetric
from gdns_tf.evaluation.top_items import top_items
from gdns_tf.flags import replayable
from gdns_tf.models.factors import Factors
from gdns_tf.models.weights_file import save_factors
from gdns_tf.runs.history import read_history
from gdns_tf.runs.loading import load_model
from gdns_tf.runs.lock import locked
from gdns_tf.runs.run import KS
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.tensorboard.finished import write_log
from gdns_tf.runs.tensorboard.hparams import row_of
from gdns_tf.runs.train import train
from gdns_tf.studies import false_negatives
from gdns_tf.studies.held_pairs import HeldPairs
from gdns_tf.studies.memory import peak_memory
from gdns_tf.studies.oracle import Oracle
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.penalty import UserPenalty
from gdns_tf.training.recipes import PAIRS
from pipelines.atomic import whole, write_text
from pipelines.config import DataConfig
from pipelines.load import load_dataset
from pipelines.split import Split

SPLITS = ("valid", "test")
LIST_LENGTH = 20
"""Of the lists whose coverage, novelty and popularity are measured."""
MEASURES = "measures.json"
_OFFSETS = "_offsets"


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
    full: bool = False
    """Whether it is also ranked against all items, and what its lists show and its process takes is measured."""

    @property
    def key(self) -> str:
        """12 hex digits of all that the outcome depends on but the files' contents: flags, task, sampler's revision."""
        told = [replayable([replace(self.data, data_dir="")]), self.task, str(self.options)]
        if self.task in BASELINES:
            told.append(f"dim={self.config.dim} seed={self.config.seed}")
            told += [f"revision {r}"] if (r := BASELINES[self.task].revision) > 1 else []
        else:
            config = replace(self.config, output_dir="", overwrite=False, tensorboard=False)
            told += [replayable([config]), f"revision {config.sampler_class.revision}"]
            told += [f"penalty {UserPenalty.revision}"] if self.config.objective != PAIRS else []
        text = "\n".join([*told, "full"] if self.full else told)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def folder(self, root: Path) -> Path:
        return root / f"{self.data.dataset.replace('/', '_').replace(':', '_')}-{self.label}-{self.key}"


@dataclass(frozen=True)
class Result:
    """What a finished trial left behind."""

    trial: Trial
    metrics: dict
    """Of `metrics.json`."""
    ranks: dict[str, Ranks]
    """Split -> ranks of the held-out items; also full_valid and full_test of trials that are `full`."""
    history: dict[str, np.ndarray]
    """Column -> a value for each validation; empty for baselines."""
    folder: Path
    measures: Mapping[str, float]
    """Of trials that are `full`: what `beyond_accuracy` says of test, and the peak of the process's memory in bytes,
    "memory", and before it trained, "memory_before"."""

    def selected(self, metric: SelectionMetric) -> float:
        """Its value on validation; of a trial that is `full`, if the metric is of the full protocol."""
        return metric.of_ranks(self.ranks["valid" if metric.protocol == "sampled" else _full("valid")])

    def full_means(self, split: str, ks: Sequence[int] = (10, 20)) -> dict[str, float]:
        """Means of the metrics against all items, of a trial that is `full`."""
        return metrics.means(self.ranks[_full(split)], ks)

    @property
    def seconds_to_best(self) -> float:
        """Seconds of training until the epoch with the best validation; of baselines, all of their fitting."""
        if not self.history:
            return float(self.metrics["seconds"])
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
        _drop_checkpoints(folder)
        return ""
    if (failed := folder / "failed.txt").exists():
        return failed.read_text()
    dataset = _dataset(trial.data)
    config = replace(trial.config, output_dir=str(folder), tensorboard=False)
    memory_before = peak_memory()
    try:
        dataset, model = TASKS[trial.task](trial, dataset, config)
    except FloatingPointError as error:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(failed, str(error))
        return str(error)
    ranks = {split: evaluate(model, dataset, split).ranks for split in SPLITS}
    if trial.full:
        ranks |= {_full(split): evaluate(model, dataset, split, "full").ranks for split in SPLITS}
        measures = _beyond_accuracy(model, dataset) | {"memory": peak_memory(), "memory_before": memory_before}
        write_text(folder / MEASURES, json.dumps(measures, indent=2) + "\n")
    if trial.config.tensorboard:
        _write_log(trial, dataset, RunFolder(folder))
    with whole(folder / "ranks.npz") as unfinished:
        np.savez_compressed(unfinished, **_as_arrays(ranks))
    _drop_checkpoints(folder)
    return ""


def _drop_checkpoints(folder: Path) -> None:
    """Removes those of a trial that is done: they are large."""
    shutil.rmtree(RunFolder(folder).checkpoints, ignore_errors=True)


def read_result(trial: Trial, root: Path) -> Result | None:
    """The outcome of a trial; None if it is not done or failed."""
    folder = RunFolder(trial.folder(root))
    if not (folder.path / "ranks.npz").exists():
        return None
    with np.load(folder.path / "ranks.npz") as file:
        ranks = _of_arrays(dict(file))
    measures = json.loads((folder.path / MEASURES).read_text()) if trial.full else {}
    return Result(trial, folder.read_metrics(), ranks, read_history(folder.history), folder.path, measures)


def _write_log(trial: Trial, dataset: Split, folder: RunFolder) -> None:
    """Writes what TensorBoard shows beside the other trials; at the end it costs less than on the way."""
    if trial.task in BASELINES:
        options = ", ".join(f"{name}={value:g}" for name, value in trial.options)
        settings = {"dataset": dataset.name, "scorer": trial.task, "other settings": options or "as they come"}
    else:
        settings = row_of(dataset.name, trial.config)
    write_log(folder, settings, folder.read_metrics(), read_history(folder.history), trial.config.select)


@functools.lru_cache(maxsize=2)
def _dataset(data: DataConfig) -> Split:
    return load_dataset(data)


def _full(split: str) -> str:
    """The key of ranks against all items."""
    return f"full_{split}"


def _as_arrays(ranks: Mapping[str, Ranks]) -> dict[str, np.ndarray]:
    """By name the places and, where users have several, the offsets of their rows."""
    arrays = {name: of_part.places.astype(np.int32) for name, of_part in ranks.items()}
    return arrays | {f"{name}{_OFFSETS}": of_part.offsets for name, of_part in ranks.items() if of_part.several}


def _of_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, Ranks]:
    """The inverse of `_as_arrays`."""
    offsets = {name.removesuffix(_OFFSETS): value for name, value in arrays.items() if name.endswith(_OFFSETS)}
    return {
        name: Ranks(places, offsets[name]) if name in offsets else Ranks.one_each(places)
        for name, places in arrays.items()
        if not name.endswith(_OFFSETS)
    }


def _beyond_accuracy(model: Model, dataset: Split) -> dict[str, float]:
    """Of the lists that are asked for the test items: what is in training or validation is left out."""
    train = dataset.train
    lists = top_items(model, dataset.seen_before("test"), np.arange(train.num_users), LIST_LENGTH)
    return beyond_accuracy(lists, train)


def _train(trial: Trial, split: Split, config: TrainConfig) -> tuple[Split, Model]:
    train(split, trial.data, config, progress=False)
    return split, load_model(config.output_dir, split)


def _train_watched(trial: Trial, split: Split, config: TrainConfig) -> tuple[Split, Model]:
    moved = false_negatives.move_positives(split, config.seed)
    watch = false_negatives.Watch(moved, Path(config.output_dir))
    train(moved, trial.data, config, [watch], progress=False)
    return moved, load_model(config.output_dir, moved)


def _train_counted(trial: Trial, split: Split, config: TrainConfig) -> tuple[Split, Model]:
    train(split, trial.data, config, [HeldPairs()], progress=False)
    return split, load_model(config.output_dir, split)


def _train_oracle(trial: Trial, split: Split, config: TrainConfig) -> tuple[Split, Model]:
    """With uniform negatives none of which is known to be false, in place of the sampler's."""
    config = config.with_settings(sampler=Oracle(split), num_candidates=2 * config.group_size)
    train(split, trial.data, config, progress=False)
    return split, load_model(config.output_dir, split)


def _baseline(trial: Trial, split: Split, config: TrainConfig) -> tuple[Split, Model]:
    folder, baseline = RunFolder.open(trial.data, config), BASELINES[trial.task]
    baseline.load()
    began = time.monotonic()
    model = baseline(split.train, dim=config.dim, seed=config.seed, **dict(trial.options))
    seconds = time.monotonic() - began
    if isinstance(model, Factors) and (fault := model.fault()):
        raise FloatingPointError(fault)
    means = {held_out: evaluate(model, split, split=held_out, ks=KS).means() for held_out in SPLITS}
    with locked(folder.path):
        folder.claim(trial.data, config)
        if isinstance(model, Factors):  # other weights are as large as the catalogue squared
            save_factors(folder.weights, model)
        folder.write_metrics(
            {"stopped_by": "end", "epochs": 1, "best_epoch": 1, **means, "seconds": seconds}
            | {"seconds_per_epoch": seconds, "data_fingerprint": split.fingerprint}
        )
    return split, model


TASKS: dict[str, Callable[[Trial, Split, TrainConfig], tuple[Split, Model]]] = {
    "train": _train,
    "false_negatives": _train_watched,
    "held_pairs": _train_counted,
    "oracle": _train_oracle,
    **dict.fromkeys(BASELINES, _baseline),
}
"""Each trains in the folder `config.output_dir` and returns the data that its model is of, and the model."""
