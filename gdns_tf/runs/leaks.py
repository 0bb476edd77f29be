"""Held-out items that a run's weights have learnt from all the same: from the run that they began with.

A split by time keeps yesterday's training and today's held-out items apart as long as data is only added: what is
latest today was not there yesterday, or was held out. It does not where a user takes up an old item again, since the
repeat counts as the latest; and a random split does not at all. So today's held-out items are looked up in what
yesterday's weights have learnt from, and what is found is said wherever a figure is.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pipelines.id_match import IdMatch
from pipelines.interactions import Interactions
from pipelines.notices import notices
from pipelines.split import Split


def joined(former: Interactions, users: IdMatch, items: IdMatch, train: Interactions) -> Interactions:
    """All that weights learn from which begin from others: `train`, and of `former` what is of its users and items.

    Args:
      former: what the other weights have learnt from.
      users, items: its ids in those of `train`.
      train: what is trained on now.

    Returns:
      The users and items of `train`; a user's items in ascending order, without times and titles.
    """
    rows, columns = users.places[former.users], items.places[former.items]
    kept = (rows >= 0) & (columns >= 0)
    keys = np.union1d(_keys(rows[kept], columns[kept], train), _keys(train.users, train.items, train))
    rows, columns = np.divmod(keys, train.num_items)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=train.num_users))])
    return replace(train, offsets=offsets, items=columns.astype(np.int32), timestamps=None, titles=None)


def count(trained_on: Interactions, split: Split) -> dict[str, int]:
    """How many of the validation and test items are of what was trained on: {"valid", "test"}."""
    keys = _keys(trained_on.users, trained_on.items, split.train)
    held_out = {"valid": split.valid, "test": split.test}
    return {name: int(np.isin(_keys(*part.pairs, split.train), keys).sum()) for name, part in held_out.items()}


def _keys(users: np.ndarray, items: np.ndarray, train: Interactions) -> np.ndarray:
    """[n] int64: a number for each pair."""
    return users.astype(np.int64) * train.num_items + items


def warn(metrics: Mapping) -> None:
    """Gives notice of a finished run's leaks, if there are any.

    Args:
      metrics: what `metrics.json` holds.
    """
    told = metrics.get("warm_start", {})
    if any(told.get("leaked", {}).values()):
        notices.warning(notice(told["run"], told["leaked"], metrics["dataset"]["#Valid"]))


def notice(run: str, leaked: Mapping[str, int], num_valid: int) -> str:
    """What to say of leaks.

    Args:
      run: what the weights began from.
      leaked: from `count`.
      num_valid: how many validation items there are.
    """
    return (
        f"Leaked: {leaked['valid']:,} of {num_valid:,} validation items and {leaked['test']:,} of the test items were "
        f"in the training of {run}, from which these weights began. Figures on them are too good, and the epoch was "
        "chosen by some of them. Split by time (give a column of times; `duplicates`=first if users take up items "
        "again), or measure without `warm_start`."
    )
