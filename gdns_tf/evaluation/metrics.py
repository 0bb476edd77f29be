"""Top-K metrics of users with one relevant item each, from the rank of that item.

With one relevant item the ideal DCG is 1, so NDCG@K is the discount at its rank; and Recall@K (the share of the
relevant items that are found) equals HR@K (whether any is found). Both names are kept: the literature uses both.
"""

from collections.abc import Callable, Sequence

import numpy as np


def found(ranks: np.ndarray, k: int) -> np.ndarray:
    """Whether the relevant item is among the first k: 1 or 0."""
    return (ranks < k).astype(np.float64)


def ndcg(ranks: np.ndarray, k: int) -> np.ndarray:
    """1 / log2(rank + 2) where the relevant item is among the first k, else 0."""
    return 1 / np.log2(ranks + 2.0) * found(ranks, k)


def reciprocal_rank(ranks: np.ndarray) -> np.ndarray:
    """1 / (rank + 1), over the whole ranking."""
    return 1 / (ranks + 1.0)


AT_K: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {"ndcg": ndcg, "recall": found, "hr": found}
"""Metrics of a list's first k: name -> function of (ranks [num_users], k); a new one needs its line here."""
OVERALL: dict[str, Callable[[np.ndarray], np.ndarray]] = {"mrr": reciprocal_rank}
"""Metrics of the whole ranking: name -> function of ranks [num_users]."""


def names(ks: Sequence[int]) -> list[str]:
    """The keys of `per_user`, in its order."""
    return [*(f"{name}@{k}" for name in AT_K for k in ks), *OVERALL]


def per_user(ranks: np.ndarray, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """The metrics of each user.

    Args:
      ranks: [num_users] integers: how many items stand above the relevant one, 0 for the best.
      ks: lengths of the list that is shown.

    Returns:
      "ndcg@K", "recall@K" and "hr@K" for each K, and "mrr" (over the whole ranking): [num_users] float64 in [0, 1].

    Raises:
      ValueError: a K is below 1.
    """
    if any(k < 1 for k in ks):
        raise ValueError(f"K must be at least 1, is {min(ks)}")
    at_k = {f"{name}@{k}": metric(ranks, k) for name, metric in AT_K.items() for k in ks}
    return at_k | {name: metric(ranks) for name, metric in OVERALL.items()}


def means(ranks: np.ndarray, ks: Sequence[int]) -> dict[str, float]:
    """The metrics of `per_user`, averaged over users."""
    return {name: float(values.mean()) for name, values in per_user(ranks, ks).items()}
