"""Settings that work unasked, by objective: what a run has where nothing else is said.

Those of pairs were found on validation items of MovieLens-1M, those of the likelihoods on seven data sets and held
against five others (configs/RESULTS.md). What depends on the data is a rule and no constant: the penalty of the
likelihoods is one a user, whatever the number of items that they have, and an epoch has about fifty steps.
"""

from collections.abc import Mapping

from gdns_tf.models.scorer import CATALOGUE, ITEM_FACTORS

MULTINOMIAL = "multinomial"
SAMPLED_SOFTMAX = "sampled_softmax"
PAIRS = "pairs"

_LIKELIHOOD = {
    "scorer": "history",
    "dim": 64,
    "dropout": 0.0,
    "average_decay": 0.9,
    "init_scale": 0.05,
    "optimizer": "adam",
    "schedule": "cosine",
    "learning_rate": 0.02,
    "batch_size": 0,
    "max_epochs": 30,
    "eval_every": 5,
}

RECIPES: dict[str, Mapping[str, object]] = {
    MULTINOMIAL: {"objective": MULTINOMIAL, **_LIKELIHOOD},
    SAMPLED_SOFTMAX: {
        "objective": SAMPLED_SOFTMAX,
        "sampler": "uniform",
        "group_size": 128,
        "num_candidates": 256,
        **_LIKELIHOOD,
    },
    PAIRS: {},
}
"""Objective -> what differs from the fields' defaults, which are the recipe for pairs."""

SAMPLING = frozenset({PAIRS, SAMPLED_SOFTMAX})
"""Objectives that have a sampler; settings of samplers are of these."""

_LIKELIHOODS = frozenset({MULTINOMIAL, SAMPLED_SOFTMAX})

MEANT_FOR: dict[str, frozenset[str]] = {
    **dict.fromkeys(("sampler", "group_size", "num_candidates", "uniform_epochs"), SAMPLING),
    **dict.fromkeys(("loss", "pairing", "margin", "l2", "user_weight_power"), frozenset({PAIRS})),
    "user_l2": _LIKELIHOODS,
    "shared_negatives": frozenset({SAMPLED_SOFTMAX}),
}
"""Setting -> objectives to which alone it means something; what is not here is of all."""

NEEDS = {
    PAIRS: frozenset(),
    MULTINOMIAL: frozenset({ITEM_FACTORS, CATALOGUE}),
    SAMPLED_SOFTMAX: frozenset({ITEM_FACTORS, CATALOGUE}),
}
"""Objective -> what it needs of a scorer, beside what a sampler needs."""


def users_a_step(num_users: int) -> int:
    """Users a step such that an epoch has about fifty steps, whatever the number of users; from 32 to 16384.

    What ranks best is a number of steps: with the same users a step, small data would be left undertrained and large
    data be learnt by heart.
    """
    return min(max(round(num_users / 50), 32), 2**14)
