"""What an epoch of each system costs, timed in turn with uniform sampling in one process."""

import json
import multiprocessing
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from gdns_tf.evaluation.baselines import BASELINES
from gdns_tf.studies.session import Session
from gdns_tf.studies.trial import Trial
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from pipelines.atomic import write_text
from pipelines.interactions import Interactions
from pipelines.load import load_dataset

REFERENCE = "uniform"
WARM_UP = 2
EPOCHS = 4
"""A measurement."""


def measure(session: Session, trials: Mapping[str, Trial]) -> dict[str, dict[str, float]]:
    """Times an epoch of each trial; for iALS and popularity, all of their training.

    Returns:
      Name -> {"seconds": median of an epoch or, for baselines, of the whole; "reference": median of uniform sampling's
      epoch in the same turns}. Kept in `cost.json`: measured once for a set of trials.
    """
    path = session.folder / "cost.json"
    keys = {name: trial.key for name, trial in trials.items()}
    if path.exists() and (former := json.loads(path.read_text()))["keys"] == keys:
        return former["cost"]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        cost = pool.submit(_measure, dict(trials), session.train, session.config.cost_rounds).result()
    write_text(path, json.dumps({"keys": keys, "cost": cost}, indent=2) + "\n")
    return cost


def _measure(trials: dict[str, Trial], base: TrainConfig, rounds: int) -> dict[str, dict[str, float]]:
    train = load_dataset(next(iter(trials.values())).data).train
    reference = _epoch(train, base.with_settings(sampler=REFERENCE))
    cost = {}
    for name, trial in trials.items():
        once = _epoch(train, trial.config) if trial.task == "train" else _whole(train, trial)
        times = np.array([(once(), reference()) for _ in range(rounds)])
        cost[name] = dict(zip(("seconds", "reference"), np.median(times, axis=0).tolist(), strict=True))
    return cost


def _epoch(train: Interactions, config: TrainConfig) -> Callable[[], float]:
    trainer = build_trainer(train, config)
    batches = iter(build_batches(train, config))
    train_epoch = trainer.make_train_function()
    for _ in range(WARM_UP):  # compiles, and fills the prefetch
        train_epoch(batches)

    def once() -> float:
        began = time.perf_counter()
        for _ in range(EPOCHS):
            float(train_epoch(batches)["loss"])
        return (time.perf_counter() - began) / EPOCHS

    return once


def _whole(train: Interactions, trial: Trial) -> Callable[[], float]:
    def once() -> float:
        began = time.perf_counter()
        BASELINES[trial.task](train, dim=trial.config.dim, seed=trial.config.seed, **dict(trial.options))
        return time.perf_counter() - began

    return once
