"""Ranks of held-out items, under the sampled and the full protocol.

Where a user has several, a list is of all of them and of what they are ranked against: for each is counted what of the
latter stands above it, which says where each stands (`metrics.Ranks`).

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
from gdns_tf.evaluation.metrics import Ranks
from gdns_tf.evaluation.model import Model, scores_of
from gdns_tf.models.factors import Factors
from pipelines.errors import InputError
from pipelines.held_out import HeldOut
from pipelines.sample import Sample
from pipelines.split import Split
from pipelines.streamed import StreamedSplit

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
    users: np.ndarray
    """[num_evaluated] int32: the users that have held-out items, in the order of all that is told of users."""
    ranks: Ranks
    """Where the held-out items of each of them stand."""
    several: bool
    """Whether the data holds out several items of a user, for validation or test."""

    def per_user(self) -> dict[str, np.ndarray]:
        """See `metrics.per_user`."""
        return metrics.per_user(self.ranks, self.ks, self.several)

    def means(self) -> dict[str, float]:
        """See `metrics.means`."""
        return metrics.means(self.ranks, self.ks, self.several)


def evaluate(
    model: Model,
    dataset: Split | StreamedSplit | Sample,
    split: str = "valid",
    protocol: str = "sampled",
    ties: str = "pessimistic",
    ks: Sequence[int] = (1, 3, 10),
) -> Report:
    """Ranks each user's held-out items; users without any are not evaluated.

    Args:
      model: by factors or by weights between items.
      dataset: the data it was trained on, in memory or streamed; or a sample of its users.
      split: "valid" or "test".
      protocol: "sampled" ranks against the data set's evaluation negatives; "full" against all items but those of the
        user's training and, for test, validation, as RecBole does.
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
    numbers, users, ranks = np.arange(model.num_users, dtype=np.int32), [], []
    for block in dataset.blocks():
        users.append(numbers[block.users][getattr(block.split, split).users])
        ranks.append(_ranks(model.of_users(block.users), block.split, split, protocol, ties))
    return Report(split, protocol, ties, tuple(ks), np.concatenate(users), Ranks.joined(ranks), dataset.several)


def _ranks(model: Model, dataset: Split, split: str, protocol: str, ties: str) -> Ranks:
    """Where the held-out items of the data's users stand, all of whom are in memory."""
    part = getattr(dataset, split)
    if protocol == "sampled":
        return sampled_ranks(model, part, ties)
    masked = [(dataset.train.offsets, dataset.train.items)]
    if split == "test":
        masked.append((dataset.valid.offsets_over(model.num_users), dataset.valid.items))
    return full_ranks(model, part, masked, ties)


def check_fits(model: Model, dataset: Split | StreamedSplit | Sample) -> None:
    """Raises InputError if the model has another number of users or items than the data."""
    shapes = (model.num_users, model.num_items), (dataset.train.num_users, dataset.train.num_items)
    if shapes[0] != shapes[1]:
        raise InputError(
            f"the model is of {shapes[0][0]} users and {shapes[0][1]} items, but {dataset.name} has {shapes[1][0]} "
            f"users and {shapes[1][1]} items",
            remedy="Load the data that it was trained on, filtered in the same way.",
        )


@_QUIET
def sampled_ranks(model: Model, held_out: HeldOut, ties: str = "pessimistic") -> Ranks:
    """Ranks the held-out items of each user among themselves and that user's negatives.

    Args:
      model: of all users.
      held_out: the items; a negative that stands there twice counts twice, as in SRNS.
      ties: "pessimistic" puts equal scores, and scores that are not numbers, above a held-out item, and the item below
        all negatives as soon as its score or any of theirs is not a number. "optimistic" puts only strictly higher
        scores above it, as SRNS does: a model that knows nothing looks perfect.

    Returns:
      How many of these items stand above each.
    """
    comparison = _comparison(model, held_out, ties)
    num_negatives, row_of = held_out.negatives.shape[1], held_out.rows
    counts = np.empty(len(held_out.items), np.int64)
    for some in comparison.blocks_for(num_negatives):
        rows = row_of[some] if held_out.several else some  # a slice, which copies nothing
        above, invalid = comparison.listed(some, held_out.negatives[rows])
        counts[some] = np.where(invalid, num_negatives, above.sum(axis=1))
    return Ranks.above(counts, held_out.offsets)


@_QUIET
def full_ranks(
    model: Model,
    held_out: HeldOut,
    masked: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    ties: str = "pessimistic",
) -> Ranks:
    """Ranks the held-out items of each user among themselves and all other items but the masked ones.

    Args:
      model: of all users.
      held_out: the items, which take part even if they are masked.
      masked: compressed sparse rows over all users (offsets, items) of what takes no part; rows may overlap.
      ties: see `sampled_ranks`.

    Returns:
      How many of these items stand above each.
    """
    comparison = _comparison(model, held_out, ties)
    num_items, users = model.num_items, held_out.pairs[0]
    counts = np.empty(len(users), np.int64)
    aside_of = [(held_out.offsets_over(model.num_users), held_out.items), *masked]
    for some in _blocks(len(users), num_items, _LARGE):
        size = some.stop - some.start
        aside = np.concatenate([_cells(users[some], offsets, items, num_items) for offsets, items in aside_of])
        above, invalid = comparison.everything(some, aside)
        # Counting row by row is several times as fast as a sum along an axis of booleans.
        counts[some] = [np.count_nonzero(row) for row in above]
        if invalid.any():
            last = num_items - np.bincount(np.unique(aside) // num_items, minlength=size)
            counts[some][invalid] = last[invalid]
    return Ranks.above(counts, held_out.offsets)


def _cells(users: np.ndarray, offsets: np.ndarray, items: np.ndarray, num_items: int) -> np.ndarray:
    """Where the items of each of these users stand in flattened scores [len(users), num_items]."""
    counts = offsets[users + 1] - offsets[users]
    ends = np.cumsum(counts)
    places = np.repeat(offsets[users] - ends + counts, counts) + np.arange(ends[-1])
    return np.repeat(np.arange(len(users)) * num_items, counts) + items[places]


class _FactorComparison:
    """Which scores by factors stand above the score of a held-out item, its user's target."""

    def __init__(self, factors: Factors, users: np.ndarray, targets: np.ndarray, ties: str) -> None:
        """Args:
        factors: the model.
        users: [n] the user of each target, ascending.
        targets: [n] items.
        ties: see `sampled_ranks`.
        """
        self._factors, self._users, self._targets = factors, users, targets
        self._query, self._items = factors.queries, factors.items
        self._ties_above = ties == "pessimistic"
        self._surely_below, self._surely_above = np.empty((2, len(targets), 1), np.float32)
        dim, items = factors.dim, self._items.astype(np.float64)
        largest_item = np.linalg.norm(items, axis=1).max()
        for rows in _blocks(len(targets), dim, _LARGE):
            query = self._query[users[rows]].astype(np.float64)
            score = np.einsum("nd,nd->n", query, items[targets[rows]])
            # Twice the classic bound on the rounding of a float32 inner product in any order of summation (Higham,
            # Accuracy and Stability of Numerical Algorithms, 3.1), and what may be lost to underflow.
            largest = np.linalg.norm(query, axis=1) * largest_item
            margin = (2 * dim + 8) * 2.0**-24 * largest + dim * float(np.finfo(np.float32).tiny)
            margin[largest > 1e38] = np.inf  # float32 may overflow on the way to a sum that would not
            self._surely_below[rows, 0], self._surely_above[rows, 0] = score - margin, score + margin

    def blocks_for(self, count: int) -> list[slice]:
        """The targets in blocks for `listed` with so many items each."""
        return _blocks(len(self._targets), count * self._factors.dim, _CACHED)

    def listed(self, rows: slice, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compares the items [block, count] with each of the targets `rows`; returns as `everything` does."""
        scores = (self._items.take(items, axis=0) @ self._query[self._users[rows], :, None])[..., 0]
        return self._above(scores, rows, items)

    def everything(self, rows: slice, aside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compares all items.

        Args:
          rows: which targets, a block.
          aside: positions in the flattened scores [block, num_items] that take no part.

        Returns:
          [block, num_items] bool: which stand above. [block] bool: which targets take last place, for want of numbers.
        """
        scores, row_of = _scores_of_users(self._factors, self._users[rows])
        return self._above(_expanded(scores, row_of), rows, np.arange(len(self._items)), aside)

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

    def _difference(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """[n] float64: how far the items' scores exceed those of the targets `rows`; exactly 0 for equal factors."""
        beyond = self._items[items].astype(np.float64) - self._items[self._targets[rows]]
        return np.einsum("nd,nd->n", self._query[self._users[rows]], beyond)


class _ScoreComparison:
    """The same for scores that can be compared as they are: see `_FactorComparison`."""

    def __init__(self, model: Model, users: np.ndarray, targets: np.ndarray, ties: str) -> None:
        self._model, self._users, self._targets = model, users, targets
        self._ties_above = ties == "pessimistic"

    def blocks_for(self, count: int) -> list[slice]:
        return _blocks(len(self._targets), max(count, self._model.num_items), _LARGE)

    def listed(self, rows: slice, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores, row_of = _scores_of_users(self._model, self._users[rows])
        return self._above(scores[row_of[:, None], items], scores[row_of, self._targets[rows]][:, None])

    def everything(self, rows: slice, aside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores, row_of = _scores_of_users(self._model, self._users[rows])
        return self._above(_expanded(scores, row_of), scores[row_of, self._targets[rows]][:, None], aside)

    def _above(
        self, scores: np.ndarray, target: np.ndarray, aside: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        above = ~(scores < target) if self._ties_above else scores > target
        no_number = np.isnan(scores)
        if aside is not None:
            above.ravel()[aside] = no_number.ravel()[aside] = False
        invalid = no_number.any(axis=1) | np.isnan(target[:, 0])
        return above, invalid & self._ties_above


def _scores_of_users(model: Model, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The scores of all items for each of the different users [n], ascending, and the row there of each: [n]."""
    different, row_of = np.unique(users, return_inverse=True)
    return scores_of(model, different), row_of


def _expanded(scores: np.ndarray, row_of: np.ndarray) -> np.ndarray:
    """The row of each, without a copy where each has its own."""
    return scores if len(scores) == len(row_of) else scores[row_of]


def _blocks(num_rows: int, floats_per_row: int, most: int) -> list[slice]:
    """Consecutive slices of rows that hold at most so many floats each, or one row."""
    size = max(most // max(floats_per_row, 1), 1)
    return [slice(start, min(start + size, num_rows)) for start in range(0, num_rows, size)]


def _comparison(model: Model, held_out: HeldOut, ties: str) -> _FactorComparison | _ScoreComparison:
    """How the scores of a model are compared with those of the held-out items."""
    if ties not in TIES:
        raise ValueError(f"ties must be one of {', '.join(TIES)}, is {ties}")
    return (_FactorComparison if isinstance(model, Factors) else _ScoreComparison)(model, *held_out.pairs, ties)
