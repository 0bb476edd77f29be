"""A small random data set for tests of the training side."""

import numpy as np

from pipelines.interactions import Interactions


def toy_interactions(num_users: int = 13, num_items: int = 19, seed: int = 0, fewest: int = 1) -> Interactions:
    """Users with `fewest` up to about half of the items each."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(fewest, num_items // 2 + 1, num_users)
    items = np.concatenate([rng.choice(num_items, count, replace=False) for count in counts])
    return Interactions(
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        items=items.astype(np.int32),
        user_ids=np.arange(num_users),
        item_ids=np.arange(num_items),
    )
