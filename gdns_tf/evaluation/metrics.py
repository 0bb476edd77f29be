"""Top-K metrics of users with one relevant item each, from the rank of that item.

With one relevant item the ideal DCG is 1, so NDCG@K is the discount at its rank; and Recall@K (the share of the
relevant items that are found) equals HR@K (whether any is found). Both names are kept: the literature uses both.
"""

from collections.abc import Sequence

import numpy as np


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
    found = {k: (ranks < k).astype(np.float64) for k in ks}
    discount = 1 / np.log2(ranks + 2.0)
    metrics = {f"ndcg@{k}": discount * found[k] for k in ks}
    metrics |= {f"{name}@{k}": found[k] for name in ("recall", "hr") for k in ks}
    return metrics | {"mrr": 1 / (ranks + 1.0)}


def means(ranks: np.ndarray, ks: Sequence[int]) -> dict[str, float]:
    """The metrics of `per_user`, averaged over users."""
    return {name: float(values.mean()) for name, values in per_user(ranks, ks).items()}
