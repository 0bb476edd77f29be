"""Models that must never go live, and one that may: for the data of a split, made without training."""

import numpy as np
from scipy.sparse.linalg import svds

from gdns_tf.evaluation.baselines.matrix import as_matrix
from gdns_tf.models.factors import Factors


def good(split, dim=6):
    """Truncated singular value decomposition of the interactions: PureSVD (Cremonesi et al., RecSys 2010)."""
    left, values, right = svds(as_matrix(split.train).astype(np.float64), k=dim, random_state=0)
    return Factors(left * values, right.T)


def _random(split, dim=6):
    rng = np.random.default_rng(1)
    return rng.normal(size=(split.train.num_users, dim)), rng.normal(size=(split.train.num_items, dim))


def _diverged(split):
    users, items = _random(split)
    items[3, 2] = np.nan
    return Factors(users, items)


def _constant(split):
    """All items have become one; users differ."""
    users, items = _random(split)
    return Factors(users, np.broadcast_to(items[0], items.shape))


def _anti_popular(split):
    """The fewer users have an item the better, and to each their own on top of that."""
    users, items = _random(split)
    counts = split.train.item_counts[:, None]
    return Factors(np.hstack([users, np.ones((len(users), 1))]), np.hstack([items, -5.0 * counts / counts.mean()]))


def _same_list(split):
    """Users differ by the length of their vectors alone, and the list is a good one: that of the held-out items."""
    train = split.train
    counts = train.item_counts + 3 * np.bincount(split.valid.items, minlength=train.num_items)
    lengths = np.random.default_rng(2).uniform(0.5, 2, train.num_users)
    noise = 1e-3 * np.arange(train.num_items)  # so that no two items tie
    return Factors(lengths[:, None], (counts + noise)[:, None])


def _two_lists(split):
    """One latent dimension, in which users differ by sign."""
    users, items = _random(split)
    return Factors(np.sign(users[:, :1]), items[:, :1])


COLLAPSED = {
    "zero": (lambda split: Factors(*(np.zeros_like(part) for part in _random(split))), "all items score alike"),
    "constant": (_constant, "all items score alike"),
    "NaN": (_diverged, "the factors of 1 of 150 items hold NaN or infinity"),
    "untrained": (lambda split: Factors(*(0.01 * part for part in _random(split))), "validation ndcg@3 is"),
    "anti-popular": (_anti_popular, "validation ndcg@3 is"),
    "the same list for all": (_same_list, "every user gets the same list"),
    "two lists": (_two_lists, "users get no more than two different lists"),
}
"""Name -> (its factors for a split of 150 items, what is said against it)."""
