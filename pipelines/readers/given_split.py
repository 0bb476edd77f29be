"""A split that its user made: three DataFrames for training, validation and test."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from narwhals.typing import IntoDataFrame

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Interactions, Ratings, by_first_appearance
from pipelines.notices import notices
from pipelines.readers import dataframe
from pipelines.readers.columns import to_ratings, wanted_columns
from pipelines.split import NUM_EVALUATION_NEGATIVES, Split, draw_negatives

_PARTS = ("train", "valid", "test")


def read(frames: Mapping[str, IntoDataFrame], config: DataConfig) -> Split:
    """Reads a split as it is given, and draws its evaluation negatives.

    Users and items are numbered by first appearance in training, then validation, then test. Negatives are drawn, from
    `split_seed`, from the items that the user has in no part.

    Args:
      frames: "train", "valid" and "test"; each user stands in every one, and once in the latter two.
      config: the names of the columns, which all three have (but for the times: training alone), and `split_seed`.

    Raises:
      InputError: a user stands not once in validation and test, or not in training; an item of a user stands in two
        parts; or what `dataframe.read_columns` and `draw_negatives` refuse.
    """
    ratings: dict[str, Ratings] = {}
    for part in _PARTS:
        of_part = config if part == "train" else replace(config, timestamp_column="")
        source = f"the DataFrame `{part}`"
        columns = dataframe.read_columns(frames[part], wanted_columns(of_part), source)
        ratings[part] = to_ratings(columns, of_part, source)
    user_ids, users = _numbered([ratings[part].users for part in _PARTS])
    item_ids, items = _numbered([ratings[part].items for part in _PARTS])
    train, valid, test = np.split(np.arange(len(users)), np.cumsum([len(ratings[part].users) for part in _PARTS[:2]]))
    for part, rows in zip(_PARTS, (train, valid, test), strict=True):
        _check_users(part, np.bincount(users[rows], minlength=len(user_ids)), user_ids)
    pairs = users * len(item_ids) + items
    train = _without_repeats(train, pairs)
    _check_disjoint(pairs[np.concatenate([train, valid, test])], user_ids, item_ids)

    train, valid, test = (rows[np.argsort(users[rows], kind="stable")] for rows in (train, valid, test))
    times = ratings["train"].timestamps
    split = Split(
        name=config.dataset,
        train=Interactions(
            offsets=np.concatenate([[0], np.cumsum(np.bincount(users[train]))]),
            items=items[train].astype(np.int32),
            user_ids=user_ids,
            item_ids=item_ids,
            timestamps=None if times is None else times[train],
            titles=_titles(ratings, item_ids) if config.title_column else None,
        ),
        valid=items[valid].astype(np.int32),
        test=items[test].astype(np.int32),
        valid_negatives=np.empty((len(user_ids), 0), np.int32),
        test_negatives=np.empty((len(user_ids), 0), np.int32),
    )
    negatives = draw_negatives(split.all_interactions(), NUM_EVALUATION_NEGATIVES, config.split_seed)
    return replace(split, valid_negatives=negatives, test_negatives=negatives)


def _numbered(ids: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The different ids in the order of their first appearance, and the number of each row's.

    Ids are text in all parts where they are in one: see `pipelines.readers.ids`.
    """
    if len({part.dtype.kind for part in ids}) > 1:
        ids = [part.astype(str) for part in ids]
    joined = np.concatenate(ids)
    numbers, first = by_first_appearance(joined)
    return joined[first], numbers


def _check_users(part: str, counts: np.ndarray, user_ids: np.ndarray) -> None:
    """Each user has one row in validation and test, and one or more in training."""
    if (wrong := np.flatnonzero(counts < 1 if part == "train" else counts != 1)).size:
        raise InputError(
            f"user {user_ids[wrong[0]]} has {counts[wrong[0]]} rows, and {wrong.size - 1} other users have not "
            f"{'one or more' if part == 'train' else 'exactly one'} either",
            path=f"the DataFrame `{part}`",
            remedy="Leave such users out of all three, or use Dataset.from_dataframe, which splits by itself.",
        )


def _without_repeats(rows: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The rows of training without those whose user and item stand in an earlier one."""
    _, first = np.unique(pairs[rows], return_index=True)
    if repeats := len(rows) - len(first):
        notices.warning(f"The DataFrame `train`: dropped {repeats:,} repeats of a user and item.")
    return rows[np.sort(first)]


def _check_disjoint(pairs: np.ndarray, user_ids: np.ndarray, item_ids: np.ndarray) -> None:
    _, first, counts = np.unique(pairs, return_index=True, return_counts=True)
    if (twice := first[counts > 1]).size:
        user, item = divmod(int(pairs[twice.min()]), len(item_ids))
        raise InputError(
            f"user {user_ids[user]} has item {item_ids[item]} in two of the DataFrames; there are "
            f"{twice.size - 1} more such pairs",
            remedy="Keep each in one: what is held out must not be known from training.",
        )


def _titles(ratings: Mapping[str, Ratings], item_ids: np.ndarray) -> np.ndarray:
    """[num_items] the first title that a part has of each item; the id of one that has none."""
    titles = {str(item): title for part in reversed(_PARTS) for item, title in ratings[part].titles.items()}
    return np.array([titles.get(item, item) for item in item_ids.astype(str).tolist()])
