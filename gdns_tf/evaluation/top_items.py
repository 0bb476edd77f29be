"""The best items of users by a trained model."""

from collections.abc import Sequence

import numpy as np

from gdns_tf.evaluation.model import Model, scores_of
from pipelines.interactions import Interactions

_LARGE = 2**23
"""Floats in a block of scores (32 MB)."""


def top_items(model: Model, seen: Interactions, users: Sequence[int], count: int) -> np.ndarray:
    """The highest-scored items that each user has not seen, best first; ties in the order of the items.

    Args:
      model: by factors or by weights between items.
      seen: interactions whose items are left out.
      users: [n] user numbers.
      count: items a user; less is returned where the catalogue is smaller.

    Returns:
      [n, count] int64 item numbers, -1 where a user has too few items left.
    """
    users = np.asarray(users)
    count = min(count, model.num_items)
    best = np.full((len(users), count), -1, np.int64)
    size = max(_LARGE // model.num_items, 1)
    for start in range(0, len(users), size):
        block = users[start : start + size]
        scores = scores_of(model, block)
        for row, user in enumerate(block):
            scores[row, seen.of(user)] = -np.inf
            _put_best(scores[row], best[start + row])
    return best


def _put_best(scores: np.ndarray, places: np.ndarray) -> None:
    """Fills places with the items of the highest scores; those of -inf, or that are no numbers, leave them as they are.

    Sorting only what reaches the lowest score that has a place is several times as fast as sorting the catalogue.
    """
    np.nan_to_num(scores, copy=False, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    lowest = np.partition(scores, len(scores) - len(places))[len(scores) - len(places)]
    reaching = np.flatnonzero((scores >= lowest) & (scores > -np.inf))
    found = reaching[np.argsort(-scores[reaching], kind="stable")][: len(places)]
    places[: len(found)] = found
