"""Whole runs in a tenth of a second: all that a run does with its folder, but a stand-in for what is trained."""

import csv
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import tensorflow as tf
from crash_points import contents

from gdns_tf.models.moving_average import WeightAverage
from gdns_tf.runs import run as run_module
from gdns_tf.runs import train as train_module
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.train import train
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.load import SAVED, load_dataset

DATA = DataConfig(planted_users=30, planted_items=140)
SPLIT = load_dataset(DATA)
CONFIG = TrainConfig(
    group_size=4,
    num_candidates=8,
    batch_size=16,
    dim=4,
    learning_rate=0.3,
    max_epochs=2,
    eval_every=1,
    checkpoint_minutes=0.0,
    tensorboard=False,
)
UNTRACED = WeightAverage.update.python_function
"""The average of the weights without a graph, which each run would trace: a quarter of its time."""


class TinyTrainer:
    """Stands in for `build_trainer`: learns nothing, but the same at every call, from what a checkpoint keeps."""

    def __init__(self, train, config, _replicas=None) -> None:
        setup = config.setup(train)
        self.scorer = config.scorer_class.create(config.scorer_config, setup)
        self.sampler, self.optimizer = tf.Module(), tf.Module()
        self.sampler.step = tf.Variable(config.seed, dtype=tf.int64)
        self.optimizer.learning_rate = tf.Variable(0.0)

    def reset_metrics(self) -> None:
        pass

    def make_train_function(self) -> Callable:
        def train_epoch(_batches: object) -> dict[str, tf.Tensor]:
            step = self.sampler.step.assign_add(1)
            for number, weight in enumerate(self.scorer.trainable_variables):
                weight.assign_add(tf.random.stateless_normal(weight.shape, [step, number]))
            return {"loss": tf.cast(1 / step, tf.float32)}

        return train_epoch


def train_tiny(monkeypatch, trainer: type = TinyTrainer) -> None:
    """Has all runs train a stand-in."""
    for module in (train_module, run_module):
        monkeypatch.setattr(module, "build_trainer", trainer)
    monkeypatch.setattr(run_module, "build_batches", lambda *args, **kwargs: ())
    monkeypatch.setattr(WeightAverage, "update", UNTRACED)


def run(folder, *callbacks, data=DATA, **settings):
    split = load_dataset(data) if data.dataset == SAVED else SPLIT
    return train(split, data, replace(CONFIG, output_dir=str(folder), **settings), callbacks, progress=False)


def results(folder):
    """All that a finished run has come to, but for the time that it took; and the names of its files."""
    of = RunFolder(folder)
    metrics = {name: value for name, value in of.read_metrics().items() if not name.startswith("seconds")}
    with of.history.open(newline="") as file:
        history = [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
    weights = {
        f"{path.relative_to(folder)} {name}": array.tolist()
        for path in (of.weights, of.refit.weights)
        if path.exists()
        for name, array in np.load(path).items()
    }
    names = sorted({re.sub(r"ckpt-\d+|events.*", "N", name) for name in contents(folder)})
    return metrics, history, weights, names
