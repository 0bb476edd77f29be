"""What a model shows, whether or not it is right: how much of the catalogue, how novel, how popular, how alike."""

import numpy as np
from scipy import sparse

from gdns_tf.evaluation.model import Model
from gdns_tf.evaluation.top_items import top_items
from pipelines.interactions import Interactions
from pipelines.split import Split

MOST_LISTS = 10_000
"""Lists that a model is judged by: all items are scored for each."""
MOST_OWNERS = 2**30
"""Of the items of all lists, counted anew for each list, that likeness is measured by: some seconds of work."""
_LARGE = 2**22
"""Numbers in a block of sparse rows (50 MB)."""


def list_users(split: Split, held_out: str) -> np.ndarray:
    """The users whose lists are looked at: those with held-out items, evenly spaced where they are many."""
    users = getattr(split, held_out).users
    return users[_evenly_spaced(len(users), MOST_LISTS)]


def _evenly_spaced(n: int, most: int) -> np.ndarray:
    """Up to so many of the numbers below n, from the first to the last."""
    return np.linspace(0, n - 1, min(n, most)).astype(np.int64)


def beyond_accuracy_of(model: Model, split: Split, held_out: str, k: int) -> dict[str, float]:
    """`beyond_accuracy` of the model's best k items for `list_users`, without what they had before the held-out items.

    Args:
      model: by factors or by weights between items.
      split: the data that it was trained on, in memory or streamed; or a sample of its users.
      held_out: "valid" or "test".
      k: items a list.
    """
    users = list_users(split, held_out)
    seen = split.select(users).seen_before(held_out)
    return beyond_accuracy(top_items(model.of_users(users), seen, np.arange(len(users)), k), split.train)


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
      "similarity@k": see `intra_list_similarity`; absent where no list has two items.
    """
    k = lists.shape[1]
    shown = lists[lists >= 0]
    times = np.bincount(shown, minlength=train.num_items)
    owners = train.item_counts[shown]
    found = {
        f"coverage@{k}": float(np.count_nonzero(times) / train.num_items),
        f"gini@{k}": gini(times),
        f"novelty@{k}": float(-np.log2(np.maximum(owners, 1) / train.num_users).mean()),
        f"popularity@{k}": float(owners.mean() / train.num_users),
    }
    alike = intra_list_similarity(lists, train)
    return found if alike is None else found | {f"similarity@{k}": alike}


def intra_list_similarity(lists: np.ndarray, train: Interactions) -> float | None:
    """Mean likeness of two items of a list, the lower the more diverse (Ziegler et al., WWW 2005).

    Items are alike as far as the same users have them: the cosine of their columns, as item-kNN has it. Vectors that
    the model itself has learnt would be nearer at hand, but by them each model would be measured on a scale of its own,
    and one without vectors (neighbourhoods, EASE) on none.

    Needs about 12 bytes for each training interaction with an item that is shown. Where the items of all lists together
    have more than MOST_OWNERS owners, it is the mean over evenly spaced lists that have about as many.

    Args:
      lists: [num_users, k] item numbers, -1 where a place is empty; those with fewer than two items do not count.
      train: who has what; an item that nobody has is like no other.

    Returns:
      The mean over lists of the mean over their pairs, in [0, 1]; None where no list has two items.
    """
    lengths = (lists >= 0).sum(axis=1)
    lists, lengths = lists[lengths > 1], lengths[lengths > 1]
    if not len(lists):
        return None
    counts = train.item_counts
    owners = counts[lists[lists >= 0]].sum()
    looked_at = _evenly_spaced(len(lists), max(int(len(lists) * (MOST_OWNERS / max(owners, 1))), 1))
    lists, lengths = lists[looked_at], lengths[looked_at]
    shown, column_of = np.unique(lists[lists >= 0], return_inverse=True)
    number = np.full(train.num_items, -1)
    number[shown] = np.arange(len(shown))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = sparse.csr_matrix((np.ones(len(column_of)), column_of, offsets), (len(lists), len(shown)))
    # The square of a sum of vectors of length 1 is their number and twice the cosines of their pairs.
    squares = np.zeros(len(lists))
    for block in train.blocks():
        of_shown = number[block.items] >= 0
        users, items = block.users[of_shown], block.items[of_shown]
        owners = sparse.csr_matrix((counts[items] ** -0.5, (number[items], users)), (len(shown), block.num_users))
        size = max(_LARGE // block.num_users, 1)
        for start in range(0, len(lists), size):
            sums = rows[start : start + size] @ owners
            squares[start : start + size] += np.asarray(sums.multiply(sums).sum(axis=1)).ravel()
    of_length_1 = rows @ (counts[shown] > 0)
    return float(((squares - of_length_1) / (lengths * (lengths - 1))).mean())


def gini(values: np.ndarray) -> float:
    """Gini index of values [n] not below 0: the mean difference of two of them over twice their mean."""
    ascending = np.sort(values).astype(np.float64)
    n = len(ascending)
    return float((2 * np.arange(1, n + 1) - n - 1) @ ascending / (n * ascending.sum()))
