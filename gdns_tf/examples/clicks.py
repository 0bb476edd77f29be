"""A click log to try things on: made, not real, but with tastes that a model can learn."""

import numpy as np
import pandas as pd

from gdns_tf import Dataset


def make_clicks(num_users: int = 600, num_items: int = 300, seed: int = 0) -> pd.DataFrame:
    """Clicks of users with true preferences (`--dataset=planted`), in the order of time.

    Returns:
      A row for each click: user_id ("u-17"), item_id ("i-4"), ts (a time), name (the item's).
    """
    data = Dataset.load("planted", planted_users=num_users, planted_items=num_items, planted_seed=seed)
    train = data.train
    users = np.concatenate([train.users, np.arange(num_users), np.arange(num_users)])
    items = np.concatenate([train.items, data.valid.items, data.test.items])
    minutes = np.concatenate([np.arange(len(train.items)), len(items) + np.arange(2 * num_users)])
    return pd.DataFrame(
        {
            "user_id": [f"u-{user}" for user in users],
            "item_id": [f"i-{item}" for item in items],
            "ts": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(minutes, unit="min"),
            "name": [f"Item number {item}" for item in items],
        }
    )
