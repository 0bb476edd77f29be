"""Ranks of held-out items, under the sampled and the full protocol.

Scores are inner products in float32, as fast as BLAS makes them; but BLAS gives two items with the same factors scores
that differ in the last bits, depending on where they stand in the matrix. A model that cannot tell items apart must not
get its ties broken by such noise, so where two scores are closer than the rounding error of either can explain, the
sign of `query . (items[item] - items[target])` in float64 decides: it is exactly zero for items with equal factors.
Ranks are thus the same whatever the blocks, the threads and the BLAS. Scores that a model gives itself (`ItemWeights`)
are compared as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gdns_tf.evaluation import metrics
from gdns_tf.evaluation.model import Model, scores_of
from gdns_tf.models.factors import Factors
from pipelines.errors import InputError
from pipelines.split import Split

SPLITS = ("valid", "test")
PROTOCOLS = ("sampled", "full")
TIES = ("pessimistic", "optimistic")

_CACHED = 2**18
"""Floats in a block that stays in a core's cache (1 MB)."""
_LARGE = 2**23
"""Floats in a block of scores of all items (32 MB): each BLAS call waits for all its threads, so few calls are best."""
_QUIET = np.errstate(over="ignore", invalid="ignore")
"""What is not a number is ranked, not warned of."""


@dataclass(frozen=True)
class Report:
    """What an evaluation found for each user."""

    split: str
    protocol: str
    ties: str
    ks: tuple[int, ...]
    ranks: np.ndarray
    """[num_users] int64: how many items stand above the held-out one."""

    def per_user(self) -> dict[str, np.ndarray]:
        """See `metrics.per_user`."""
        return metrics.per_user(self.ranks, self.ks)

    def means(self) -> dict[str, float]:
        """See `metrics.means`."""
        return metrics.means(self.ranks, self.ks)


def evaluate(
    model: Model,
    dataset: Split,
    split: str = "valid",
    protocol: str = "sampled",
    ties: str = "pessimistic",
    ks: Sequence[int] = (1, 3, 10),
) -> Report:
    """Ranks each user's held-out item.

    Args:
      model: by factors or by weights between items.
      dataset: the data it was trained on.
      split: "valid" or "test".
      protocol: "sampled" ranks against the data set's evaluation negatives; "full" against all items but those of the
        user's training and, for test, validation.
      ties: see `sampled_ranks`.
      ks: lengths of the list for the metrics.

    Raises:
      InputError: the model has another number of users or items than the data.
        Or split or protocol is none of those above.
    """
    for name, value, choices in (("split", split, SPLITS), ("protocol", protocol, PROTOCOLS)):
        if value not in choices:
            raise InputError(f"{name}={value!r} is not known", remedy=f"Choose among {', '.join(choices)}.")
    check_fits(model, dataset)
    items = getattr(dataset, split)
    if protocol == "sampled":
        ranks = sampled_ranks(model, items, getattr(dataset, f"{split}_negatives"), ties)
    else:
        masked = [(dataset.train.offsets, dataset.train.items)]
        if split == "test":
            masked.append((np.arange(len(items) + 1), dataset.valid))
        ranks = full_ranks(model, items, masked, ties)
    return Report(split, protocol, ties, tuple(ks), ranks)


def check_fits(model: Model, dataset: Split) -> None:
    """Raises InputError if the model has another number of users or items than the data."""
    shapes = (model.num_users, model.num_items), (dataset.train.num_users, dataset.train.num_items)
    if shapes[0] != shapes[1]:
        raise InputError(
            f"the model is of {shapes[0][0]} users and {shapes[0][1]} items, but {dataset.name} has {shapes[1][0]} "
            f"users and {shapes[1][1]} items",
            remedy="Load the data that it was trained on, filtered in the same way.",
        )


@_QUIET
def sampled_ranks(model: Model, items: np.ndarray, negatives: np.ndarray, ties: str = "pessimistic") -> np.ndarray:
    """Ranks one item of each user against that user's negatives.

    Args:
      model: of n users.
      items: [n] integers: the item of each user.
      negatives: [n, num_negatives] integers; a negative that stands there twice counts twice, as in SRNS.
      ties: "pessimistic" puts equal scores, and scores that are not numbers, above the item, and an item in last place
        as soon as any score of its user is not a number. "optimistic" puts only strictly higher scores above it, as
        SRNS does: a model that knows nothing looks perfect.

    Returns:
      [n] int64: how many negatives stand above the item.
    """
    comparison = _comparison(model, items, ties)
    num_negatives = negatives.shape[1]
    ranks = np.empty(len(items), np.int64)
    for rows in comparison.blocks_for(num_negatives):
        above, invalid = comparison.listed(rows, negatives[rows])
        ranks[rows] = np.where(invalid, num_negatives, above.sum(axis=1))
    return ranks


@_QUIET
def full_ranks(
    model: Model,
    items: np.ndarray,
    masked: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    ties: str = "pessimistic",
) -> np.ndarray:
    """Ranks one item of each user against all other items but the masked ones.

    Args:
      model: of n users.
      items: [n] integers: the item of each user; it takes part even if it is masked.
      masked: compressed sparse rows (offsets [n + 1], items) of what takes no part; rows may overlap.
      ties: see `sampled_ranks`.

    Returns:
      [n] int64: how many items stand above the item.
    """
    comparison = _comparison(model, items, ties)
    num_items = model.num_items
    ranks = np.empty(len(items), np.int64)
    for rows in _blocks(len(items), num_items, _LARGE):
        count = rows.stop - rows.start
        aside = [np.arange(count) * num_items + items[rows]]
        for offsets, others in masked:
            bounds = offsets[rows.start : rows.stop + 1]
            starts = np.repeat(np.arange(count) * num_items, np.diff(bounds))
            aside.append(starts + others[bounds[0] : bounds[-1]])
        aside = np.concatenate(aside)
        above, invalid = comparison.everything(rows, aside)
        # Counting row by row is several times as fast as a sum along an axis of booleans.
        ranks[rows] = [np.count_nonzero(row) for row in above]
        if invalid.any():
            last = num_items - np.bincount(np.unique(aside) // num_items, minlength=count)
            ranks[rows][invalid] = last[invalid]
    return ranks


class _FactorComparison:
    """Which scores by factors stand above the score of each user's item."""

    def __init__(self, factors: Factors, targets: np.ndarray, ties: str) -> None:
        self._factors, self._targets = factors, targets
        self._query, self._items = factors.queries, factors.items
        self._ties_above = ties == "pessimistic"
        dim = factors.dim
        query, items = self._query.astype(np.float64), self._items.astype(np.float64)
        score = np.einsum("nd,nd->n", query, items[targets])
        # Twice the classic bound on the rounding of a float32 inner product in any order of summation (Higham, Accuracy
        # and Stability of Numerical Algorithms, 3.1), and what may be lost to underflow.
        largest = np.linalg.norm(query, axis=1) * np.linalg.norm(items, axis=1).max()
        margin = (2 * dim + 8) * 2.0**-24 * largest + dim * float(np.finfo(np.float32).tiny)
        margin[largest > 1e38] = np.inf  # float32 may overflow on the way to a sum that would not
        self._surely_below = (score - margin).astype(np.float32)[:, None]
        self._surely_above = (score + margin).astype(np.float32)[:, None]

    def blocks_for(self, count: int) -> list[slice]:
        """The users in blocks for `listed` with so many items each."""
        return _blocks(len(self._query), count * self._factors.dim, _CACHED)

    def listed(self, rows: slice, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compares the items [block, count] of each of the users `rows`; returns as `everything` does."""
        scores = (self._items.take(items, axis=0) @ self._query[rows, :, None])[..., 0]
        return self._above(scores, rows, items)

    def everything(self, rows: slice, aside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compares all items.

        Args:
          rows: which users, a block.
          aside: positions in the flattened scores [block, num_items] that take no part.

        Returns:
          [block, num_items] bool: which stand above. [block] bool: whose item takes last place, for want of numbers.
        """
        return self._above(scores_of(self._factors, rows), rows, np.arange(len(self._items)), aside)

    def _above(
        self, scores: np.ndarray, rows: slice, items: np.ndarray, aside: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """`items`: [block, count] or [count] integers, what is scored."""
        above = scores > self._surely_above[rows]
        close = scores < self._surely_below[rows]
        np.equal(close, above, out=close)  # neither; so is what is not a number
        if aside is not None:
            above.ravel()[aside] = close.ravel()[aside] = False
        invalid = np.zeros(len(scores), bool)
        pairs = np.flatnonzero(close)
        items = np.broadcast_to(items, scores.shape)
        for some in _blocks(len(pairs), self._query.shape[1], _CACHED):
            row, column = np.divmod(pairs[some], scores.shape[1])
            difference = self._difference(row + rows.start, items[row, column])
            above[row, column] = difference >= 0 if self._ties_above else difference > 0
            if self._ties_above:
                invalid[row[np.isnan(difference)]] = True
        return above, invalid

    def _difference(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """[n] float64: how far the items' scores exceed those of their users' targets; exactly 0 for equal factors."""
        beyond = self._items[items].astype(np.float64) - self._items[self._targets[users]]
        return np.einsum("nd,nd->n", self._query[users], beyond)


class _ScoreComparison:
    """The same for scores that can be compared as they are: see `_FactorComparison`."""

    def __init__(self, model: Model, targets: np.ndarray, ties: str) -> None:
        self._model, self._targets = model, targets
        self._ties_above = ties == "pessimistic"

    def blocks_for(self, count: int) -> list[slice]:
        return _blocks(len(self._targets), max(count, self._model.num_items), _LARGE)

    def listed(self, rows: slice, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores, target = self._scores(rows)
        return self._above(np.take_along_axis(scores, items, axis=1), target)

    def everything(self, rows: slice, aside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._above(*self._scores(rows), aside)

    def _scores(self, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        """[block, num_items]: of all items. [block, 1]: of the users' own."""
        scores = scores_of(self._model, rows)
        return scores, np.take_along_axis(scores, self._targets[rows, None], axis=1)

    def _above(
        self, scores: np.ndarray, target: np.ndarray, aside: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        above = ~(scores < target) if self._ties_above else scores > target
        no_number = np.isnan(scores)
        if aside is not None:
            above.ravel()[aside] = no_number.ravel()[aside] = False
        invalid = no_number.any(axis=1) | np.isnan(target[:, 0])
        return above, invalid & self._ties_above


def _blocks(num_rows: int, floats_per_row: int, most: int) -> list[slice]:
    """Consecutive slices of rows that hold at most so many floats each, or one row."""
    size = max(most // max(floats_per_row, 1), 1)
    return [slice(start, min(start + size, num_rows)) for start in range(0, num_rows, size)]


def _comparison(model: Model, items: np.ndarray, ties: str) -> _FactorComparison | _ScoreComparison:
    """How the scores of a model are compared with those of each user's item."""
    if ties not in TIES:
        raise ValueError(f"ties must be one of {', '.join(TIES)}, is {ties}")
    if len(items) != model.num_users:
        raise ValueError(f"there are {len(items)} items for {model.num_users} users: each needs one")
    return (_FactorComparison if isinstance(model, Factors) else _ScoreComparison)(model, items, ties)
