"""Settings that work unasked, by objective: what a run has where nothing else is said.

They were found on validation items of MovieLens-1M. What depends on the data is a rule and no constant: the penalty of
the multinomial objective is one a user, whatever the number of items that they have.
"""

from collections.abc import Mapping

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


def objective_of(given: Mapping[str, object], of_samplers: set[str]) -> str:
    """The objective that some settings mean: the one that they name, else pairs if any of them is of pairs alone.

    Args:
      given: settings by name.
      of_samplers: names of all settings that samplers have.
    """
    if "objective" in given:
        return str(given["objective"])
    return PAIRS if given.keys() & (OF_ONE[PAIRS] | of_samplers) else MULTINOMIAL


def without_effect(given: Mapping[str, object], objective: str) -> list[str]:
    """Those of some settings that an objective does not look at."""
    of_others = set().union(*(names for other, names in OF_ONE.items() if other != objective))
    return [name for name in given if name in of_others - OF_ONE.get(objective, of_others)]
