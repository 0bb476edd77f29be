"""Settings that work unasked, by objective: what a run has where nothing else is said.

They were found on validation items of MovieLens-1M. What depends on the data is a rule and no constant: the penalty of
the multinomial objective is one a user, whatever the number of items that they have.
"""

from collections.abc import Mapping

from gdns_tf.models.scorer import CATALOGUE, ITEM_FACTORS

MULTINOMIAL = "multinomial"
PAIRS = "pairs"

RECIPES: dict[str, Mapping[str, object]] = {
    MULTINOMIAL: {
        "objective": MULTINOMIAL,
        "scorer": "history",
        "dropout": 0.0,
        "average_decay": 0.9,
        "init_scale": 0.05,
        "optimizer": "adam",
        "schedule": "cosine",
        "learning_rate": 0.02,
        "batch_size": 128,
        "max_epochs": 30,
        "eval_every": 5,
    },
    PAIRS: {},
}
"""Objective -> what differs from the fields' defaults, which are the recipe for pairs."""

OF_ONE = {
    PAIRS: {"sampler", "group_size", "num_candidates", "loss", "pairing", "margin", "l2", "user_weight_power"},
    MULTINOMIAL: {"user_l2"},
}
"""Objective -> settings that mean something to it alone; those of samplers are of pairs."""

NEEDS = {PAIRS: frozenset(), MULTINOMIAL: frozenset({ITEM_FACTORS, CATALOGUE})}
"""Objective -> what it needs of a scorer, beside what a sampler needs."""
