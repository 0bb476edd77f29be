"""What a model shows, whether or not it is right: how much of the catalogue, how novel, how popular."""

import numpy as np

from pipelines.interactions import Interactions


def beyond_accuracy(lists: np.ndarray, train: Interactions) -> dict[str, float]:
    """Metrics of the lists that users are shown.

    Args:
      lists: [num_users, k] item numbers, -1 where a place is empty; see `top_items`.
      train: by whose counts an item is popular.

    Returns:
      "coverage@k": share of the catalogue that is in anybody's list.
      "gini@k": Gini index of how often each item of the catalogue is shown: 0 where all are shown alike, near 1 where
        one takes all places.
      "novelty@k": mean self-information of what is shown, in bits: -log2 of the share of users who have it (Vargas and
        Castells, RecSys 2011, popularity-based, without discount by rank). An item that nobody has counts as one that
        one user has.
      "popularity@k": mean share of users who have what is shown (Yin et al., VLDB 2012, as a share).
    """
    k = lists.shape[1]
    shown = lists[lists >= 0]
    times = np.bincount(shown, minlength=train.num_items)
    owners = train.item_counts[shown]
    return {
        f"coverage@{k}": float(np.count_nonzero(times) / train.num_items),
        f"gini@{k}": gini(times),
        f"novelty@{k}": float(-np.log2(np.maximum(owners, 1) / train.num_users).mean()),
        f"popularity@{k}": float(owners.mean() / train.num_users),
    }


def gini(values: np.ndarray) -> float:
    """Gini index of values [n] not below 0: the mean difference of two of them over twice their mean."""
    ascending = np.sort(values).astype(np.float64)
    n = len(ascending)
    return float((2 * np.arange(1, n + 1) - n - 1) @ ascending / (n * ascending.sum()))
