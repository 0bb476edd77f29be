"""Whether a model's scores say anything at all: they are numbers, tell items apart, and tell users apart."""

import numpy as np

from gdns_tf.models.factors import Factors

_USERS = 256
"""So many are looked at, evenly spaced among all: a model that has collapsed has done so for nearly everybody."""
_TOP = 10
_FLOATS_AT_ONCE = 2**22


def degeneracy(factors: Factors) -> str:
    """What is wrong with a model's scores, whatever the data: a clause, empty where nothing is.

    - A factor is no finite number, or so large that a score may be none.
    - Items score alike, for most users: their scores differ by no more than float32 may round them, so that noise
      orders them. So it is with zeros, and where all items have become one. How small scores are plays no part: those
      of a good model may all lie near 0.
    - Users get the same list: of those looked at, 99% have one of at most two lists of the ten best items (with the
      items that users have, for to leave these out would tell users apart). Two, because a single latent dimension
      tells users apart by its sign alone. A model that works has nearly as many such lists as users.

    Whether the lists are any good is for their figures to say: see `gdns_tf.evaluation.fitness`.

    Args:
      factors: the model.

    Example:
      degeneracy(popularity(split.train))  # "every user gets the same list"
    """
    if fault := factors.fault():
        return fault
    tell_items_apart, lists = _looked_at(factors)
    if tell_items_apart.mean() <= 0.5:
        return "all items score alike"
    lists = lists[tell_items_apart]
    if len(lists) > 2:
        counts = np.unique(lists, axis=0, return_counts=True)[1]
        if np.sort(counts)[-2:].sum() >= 0.99 * len(lists):
            return "every user gets the same list" if len(counts) == 1 else "users get no more than two different lists"
    return ""


def _looked_at(factors: Factors) -> tuple[np.ndarray, np.ndarray]:
    """Of some users: [n] whether their scores tell items apart, and [n, k] the numbers of their best items."""
    users = np.unique(np.linspace(0, factors.num_users - 1, min(factors.num_users, _USERS)).astype(np.int64))
    items = factors.items.astype(np.float64)
    largest_item = np.linalg.norm(items, axis=1).max()
    apart, lists = np.empty(len(users), bool), np.empty((len(users), min(_TOP, len(items))), np.int64)
    size = max(_FLOATS_AT_ONCE // len(items), 1)
    for first in range(0, len(users), size):
        rows = slice(first, first + size)
        queries = factors.queries[users[rows]].astype(np.float64)
        scores = queries @ items.T
        # Twice the classic bound on the rounding of a float32 inner product, as in `gdns_tf.evaluation.ranking`.
        rounding = (2 * factors.dim + 8) * 2.0**-24 * np.linalg.norm(queries, axis=1) * largest_item
        apart[rows] = np.ptp(scores, axis=1) > rounding
        # Rounded, so that items with the same factors tie exactly and stand in the same order for everybody.
        with np.errstate(over="ignore"):
            lists[rows] = [_best(row, lists.shape[1]) for row in scores.astype(np.float32)]
    return apart, lists


def _best(scores: np.ndarray, count: int) -> np.ndarray:
    """The items of the highest scores, best first, ties in the order of the items; without sorting the catalogue."""
    reaching = np.flatnonzero(scores >= np.partition(scores, len(scores) - count)[len(scores) - count])
    return reaching[np.argsort(-scores[reaching], kind="stable")][:count]
