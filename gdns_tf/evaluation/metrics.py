"""Top-K metrics of users with one or several relevant items each, from the places of these items in a ranking.

Gains are binary. With one relevant item the ideal DCG is 1, so NDCG@K is the discount at its place; Recall@K (the share
of the relevant items that are found) is HR@K (whether any is found) and K times Precision@K; and MAP@K is the
reciprocal rank, cut at K. So only where some user has several are all of them told apart, and told.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

LARGEST_K = 10**6
"""Of the lists that are looked at: longer ones nobody is shown."""


@dataclass(frozen=True)
class Ranks:
    """Where the relevant items of each user stand, as compressed sparse rows over users."""

    places: np.ndarray
    """[num_relevant] integers, ascending for each user: how many items stand above, 0 for the best."""
    offsets: np.ndarray
    """[num_users + 1] integers: user u's places are `places[offsets[u]:offsets[u + 1]]`, one or more."""

    @classmethod
    def one_each(cls, places: np.ndarray) -> "Ranks":
        """Of one relevant item for each user: `places` [num_users]."""
        return cls(places, np.arange(len(places) + 1))

    @classmethod
    def above(cls, irrelevant: np.ndarray, offsets: np.ndarray) -> "Ranks":
        """From how many irrelevant items stand above each relevant one: [num_relevant], in any order within users.

        The n-th best relevant item has n - 1 relevant ones above it besides; which of two that tie is counted first
        makes no difference to where the two stand.
        """
        if len(irrelevant) < len(offsets):
            return cls(irrelevant, offsets)
        counts = np.diff(offsets)
        users = np.repeat(np.arange(len(counts)), counts)
        return cls(irrelevant[np.lexsort((irrelevant, users))] + _nth(offsets), offsets)

    @classmethod
    def joined(cls, parts: "Sequence[Ranks]") -> "Ranks":
        """Of several groups of users, one after the other."""
        if len(parts) == 1:
            return parts[0]
        counts = np.concatenate([part.counts for part in parts])
        return cls(np.concatenate([part.places for part in parts]), np.concatenate([[0], np.cumsum(counts)]))

    @property
    def several(self) -> bool:
        """Whether any user has more than one relevant item."""
        return len(self.places) >= len(self.offsets)

    @property
    def counts(self) -> np.ndarray:
        """[num_users] how many relevant items each user has."""
        return np.diff(self.offsets)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """[num_users]: the values [num_relevant] of each user's relevant items, added."""
        return np.add.reduceat(values, self.offsets[:-1]) if self.several else values


def found(ranks: Ranks, k: int) -> np.ndarray:
    """How many relevant items are among the first k."""
    return ranks.sums((ranks.places < k).astype(np.float64))


def ndcg(ranks: Ranks, k: int) -> np.ndarray:
    """DCG of the first k, of gains 1 and discounts log2(place + 2), over that of a list that begins with all relevant.

    That ideal list has min(k, n) of n relevant items. Järvelin and Kekäläinen, TOIS 2002.
    """
    dcg = ranks.sums(1 / np.log2(ranks.places + 2.0) * (ranks.places < k))
    ideal = np.cumsum(1 / np.log2(np.arange(min(k, int(ranks.counts.max()))) + 2.0))
    return dcg / ideal[np.minimum(ranks.counts, k) - 1]


def recall(ranks: Ranks, k: int) -> np.ndarray:
    """Share of the relevant items that are among the first k: found / n, which cannot reach 1 where n > k."""
    return found(ranks, k) / ranks.counts


def precision(ranks: Ranks, k: int) -> np.ndarray:
    """Share of the first k that are relevant: found / k."""
    return found(ranks, k) / k


def average_precision(ranks: Ranks, k: int) -> np.ndarray:
    """Precision down to each relevant item of the first k, added, over min(k, n), the most that can be found.

    As in RecBole; irspack divides by n.
    """
    precisions = (_nth(ranks.offsets) + 1) / (ranks.places + 1.0)
    return ranks.sums(precisions * (ranks.places < k)) / np.minimum(ranks.counts, k)


def hit(ranks: Ranks, k: int) -> np.ndarray:
    """Whether any relevant item is among the first k: 1 or 0."""
    return (found(ranks, k) > 0).astype(np.float64)


def reciprocal_rank(ranks: Ranks) -> np.ndarray:
    """1 / (place + 1) of the first relevant item, over the whole ranking."""
    return 1 / (ranks.places[ranks.offsets[:-1]] + 1.0)


AT_K: dict[str, Callable[[Ranks, int], np.ndarray]] = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "map": average_precision,
    "hr": hit,
}
"""Metrics of a list's first k: name -> function of (ranks, k), [num_users]; a new one needs its line here."""
OVERALL: dict[str, Callable[[Ranks], np.ndarray]] = {"mrr": reciprocal_rank}
"""Metrics of the whole ranking: name -> function of ranks, [num_users]."""
OF_SEVERAL = ("precision", "map", "hr")
"""Those that say nothing new where each user has one relevant item."""


def names(ks: Sequence[int], several: bool = False) -> list[str]:
    """The keys of `per_user`, in its order; `several`: whether users may have more than one relevant item."""
    at_k = [name for name in AT_K if several or name not in OF_SEVERAL]
    return [*(f"{name}@{k}" for name in at_k for k in ks), *OVERALL]


def of_users(name: str, ranks: Ranks) -> np.ndarray:
    """One metric by its name, such as "ndcg@3", "hr@10" or "mrr": [num_users] float64 in [0, 1].

    Raises:
      ValueError: K is below 1.
    """
    kind, _, k = name.partition("@")
    if not k:
        return OVERALL[kind](ranks)
    if int(k) < 1:
        raise ValueError(f"K must be at least 1, is {k}")
    return AT_K[kind](ranks, int(k))


def per_user(ranks: Ranks, ks: Sequence[int], several: bool | None = None) -> dict[str, np.ndarray]:
    """The metrics of each user.

    Args:
      ranks: where the relevant items stand.
      ks: lengths of the list that is shown.
      several: whether to tell what differs only where users have several relevant items; None: if any has.

    Returns:
      "ndcg@K" and "recall@K" for each K, with several also "precision@K", "map@K" and "hr@K", and "mrr" (over the
      whole ranking): [num_users] float64 in [0, 1].

    Raises:
      ValueError: a K is below 1.
    """
    return {name: of_users(name, ranks) for name in names(ks, ranks.several if several is None else several)}


def means(ranks: Ranks, ks: Sequence[int], several: bool | None = None) -> dict[str, float]:
    """The metrics of `per_user`, averaged over users."""
    return {name: float(values.mean()) for name, values in per_user(ranks, ks, several).items()}


def _nth(offsets: np.ndarray) -> np.ndarray:
    """[num_relevant]: the number of each place within its user's, from 0."""
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))
