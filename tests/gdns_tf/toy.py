"""A small random data set, and a trainer of it, for tests of the training side."""

import numpy as np

from gdns_tf.samplers.base import Batch
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.trainer import Trainer
from pipelines.interactions import Interactions


def toy_interactions(num_users: int = 13, num_items: int = 19, seed: int = 0, fewest: int = 1) -> Interactions:
    """Users with `fewest` up to about half of the items each."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(fewest, num_items // 2 + 1, num_users)
    items = np.concatenate([rng.choice(num_items, count, replace=False) for count in counts])
    return Interactions(
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        items=items.astype(np.int32),
        user_ids=np.arange(num_users),
        item_ids=np.arange(num_items),
    )


PAPER = {"loss": "hinge", "l2": 0.0, "dropout": 0.0, "user_weight_power": 0.0, "average_decay": 0.0}
"""The paper's settings where they are not the defaults: nothing regularises."""


def toy_trainer(train: Interactions, sampler: str, **changes) -> tuple[Trainer, Batch]:
    """A trainer whose scores are of the order of 1, and its first batch, of all users."""
    settings = {"group_size": 4, "num_candidates": 12, "dim": 5, "init_scale": 1.0, "batch_size": train.num_users}
    settings["uniform_epochs"] = 0  # the sampler is what is looked at
    config = TrainConfig.from_settings(sampler=sampler, **(PAPER | settings | changes))
    trainer = build_trainer(train, config)
    trainer.scorer.w.assign(np.linspace(-0.5, 1.5, config.dim))
    return trainer, trainer.batch(next(iter(build_batches(train, config))))


def scores_of(scorer, users, items) -> np.ndarray:
    """Scores [batch, n] of items [batch, n], pair by pair from the definition."""
    P, Q, w = (variable.numpy() for variable in (scorer.P, scorer.Q, scorer.w))
    rows = zip(np.asarray(users), np.asarray(items), strict=True)
    return np.array([[float((w * P[user] * Q[item]).sum()) for item in row] for user, row in rows])
