"""Run in a process of its own: the same steps by one replica, and by two on two devices; prints what they come to.

    python two_devices.py OUTPUT_DIR SHARDS

SHARDS is the folder of the data that is read from its shards.

TensorFlow splits a CPU into two devices only before it begins to work.
"""

import json
import sys

import numpy as np
import tensorflow as tf

import gdns_tf  # noqa: F401  # sets which Keras it is
from gdns_tf.runs.train import train
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.replicas.strategies import join
from pipelines.config import DataConfig
from pipelines.load import load_dataset

STEPS = 8
COMMON = {"batch_size": 16, "dim": 4, "dropout": 0.0, "init_scale": 0.5, "strategy": "mirrored"}
PAIRS = COMMON | {"group_size": 4, "num_candidates": 8, "uniform_epochs": 0, "learning_rate": 0.1}
LIKELIHOOD = COMMON | {"history_dropout": 0.0}
CASES = {
    "gdns": PAIRS | {"sampler": "gdns"},
    "srns, adam": PAIRS | {"sampler": "srns", "uniform_epochs": 1, "optimizer": "adam"},
    "shared negatives": LIKELIHOOD | {"objective": "sampled_softmax", "shared_negatives": True, "group_size": 16},
    "shards, pairs, history": PAIRS | {"sampler": "gdns", "scorer": "history", "history_dropout": 0.0},
    "shards, multinomial, svdpp": LIKELIHOOD | {"objective": "multinomial", "scorer": "svdpp"},
}
DATA = DataConfig(dataset="planted", planted_users=61, planted_items=140)
NUM_SHARDS = 5
"""Of which the first replica gets three, with 36 users, and the other one two, with 25."""
RUN = {
    "strategy": "mirrored",
    "sampler": "gdns",
    "batch_size": 16,
    "dim": 4,
    "init_scale": 0.5,
    "group_size": 4,
    "num_candidates": 8,
    "learning_rate": 0.1,
    "max_epochs": 8,
    "eval_every": 4,
    "checkpoint_minutes": 0.0,
    "tensorboard": False,
}
"""Settings of a whole run, on data that is read from its shards."""


def of_all(batches):
    """The batch of one replica that has the users of all."""
    common = ("step", "negatives")
    return {
        name: batches[0][name] if name in common else tf.concat([b[name] for b in batches], 0) for name in batches[0]
    }


def distances(settings, train):
    """How far the weights, and the tables of users, of two replicas are from those of one after the same steps."""
    config = TrainConfig.from_settings(**settings)
    replicas = join("mirrored")
    one, two = build_trainer(train, config), build_trainer(train, config, replicas)
    batches = replicas.batches(lambda share: build_batches(train, config, share=share), train)
    for step in batches.take(STEPS):
        one.train_step(of_all(step))
    train_epoch, batches = replicas.train_function(two, STEPS // 2), iter(batches)
    one_loss, losses = float(one.metrics[0].result()), [train_epoch(batches), train_epoch(batches)]

    def furthest(ours, theirs):
        return max(float(np.abs(np.subtract(a, b)).max()) for a, b in zip(ours, theirs, strict=True))

    told = {
        "weights": furthest(one.scorer.get_weights(), two.scorer.get_weights()),
        "loss": abs(losses[-1] - one_loss),
        "moved": furthest(one.scorer.get_weights(), build_trainer(train, config).scorer.get_weights()),
    }
    if settings.get("sampler") == "gdns":
        ours = one.sampler.table.cells.numpy()
        theirs = [sampler.table.cells.numpy() for sampler in two.sampler.samplers]
        told["rows"], told["tables"] = [len(rows) for rows in theirs], furthest([ours], [np.concatenate(theirs)])
        told["written"] = int((ours != 1).sum())
    return told


def main(output_dir: str, shards: str) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    in_memory, streamed = load_dataset(DATA), load_dataset(DataConfig(data_dir=shards))
    told = {
        name: distances(settings, (streamed if name.startswith("shards") else in_memory).train)
        for name, settings in CASES.items()
    }

    for max_epochs in (4, RUN["max_epochs"]):  # the second goes on with the first
        config = TrainConfig.from_settings(**RUN | {"max_epochs": max_epochs}, output_dir=output_dir)
        train(streamed, streamed.source, config, progress=False)
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
