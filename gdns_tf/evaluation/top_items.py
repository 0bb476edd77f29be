"""The best items of users by a trained model."""

from collections.abc import Sequence

import numpy as np

from gdns_tf.models.factors import Factors
from pipelines.interactions import Interactions


def top_items(factors: Factors, seen: Interactions, users: Sequence[int], count: int) -> np.ndarray:
    """The highest-scored items that each user has not seen, best first; ties in the order of the items.

    Args:
      factors: the model.
      seen: interactions whose items are left out.
      users: [n] user numbers.
      count: items a user; less is returned where the catalogue is smaller.

    Returns:
      [n, count] int64 item numbers, -1 where a user has too few items left.
    """
    scores = factors.queries[np.asarray(users)] @ factors.items.T
    for row, user in enumerate(users):
        scores[row, seen.of(user)] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return np.where(np.isneginf(np.take_along_axis(scores, best, axis=1)), -1, best)
