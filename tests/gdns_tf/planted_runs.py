"""Folders of finished runs with random weights: no training is needed to see whether a model is served rightly."""

import json

import numpy as np

from gdns_tf.flags import replayable
from gdns_tf.models.factors import Factors
from gdns_tf.models.weights_file import save_factors
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig

PLANTED = DataConfig(dataset="planted", planted_users=60, planted_items=150)


def random_factors(dataset, seed=0, dim=8):
    """Factors with every kind of sign, and two items that score alike."""
    rng = np.random.default_rng(seed)
    items = rng.normal(size=(dataset.train.num_items, dim))
    items[7] = items[3]
    return Factors(rng.normal(size=(dataset.train.num_users, dim)), items, rng.normal(size=dim))


def make_run(folder, data, dataset, factors):
    """The folder of a finished run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flags.txt").write_text(replayable([data, TrainConfig(output_dir=str(folder))]))
    metrics = {"best_epoch": 3, "valid": {"ndcg@3": 0.25}, "test": {"ndcg@3": 0.2}}
    (folder / "metrics.json").write_text(json.dumps(metrics | {"data_fingerprint": dataset.fingerprint}))
    save_factors(folder / "weights.npz", factors)
    return folder
