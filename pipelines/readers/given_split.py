"""A split that its user made: three DataFrames for training, validation and test."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from narwhals.typing import IntoDataFrame

from pipelines.config import DataConfig
from pipelines.errors import InputError, naming
from pipelines.held_out import HeldOut
from pipelines.interactions import Interactions, Ratings, by_first_appearance
from pipelines.notices import notices
from pipelines.raw_ids import Ids, as_text, codes_of, joined
from pipelines.readers import dataframe
from pipelines.readers.columns import to_ratings, wanted_columns
from pipelines.split import Split, with_drawn_negatives
from pipelines.time_cut import tell_who_is_evaluated
from pipelines.titles import title_array

_PARTS = ("train", "valid", "test")


def read(frames: Mapping[str, IntoDataFrame], config: DataConfig) -> Split:
    """Reads a split as it is given, and draws its evaluation negatives.

    Users and items are numbered by first appearance in training, then validation, then test. Negatives are drawn, from
    `split_seed`, from the items that the user has in no part. Repeats within a part count once, and users without a row
    in training are left out, which is said.

    Args:
      frames: "train", "valid" and "test".
      config: the names of the columns, which all three have (but for the times: training alone), and `split_seed`.

    Raises:
      InputError: an item of a user stands in two parts; no user of training has a row in validation, or in test; or
        what `dataframe.read_columns` and `draw_negatives` refuse.
    """
    ratings: dict[str, Ratings] = {}
    for part in _PARTS:
        of_part = config if part == "train" else replace(config, timestamp_column="")
        source = f"the DataFrame `{part}`"
        columns = dataframe.read_columns(frames[part], wanted_columns(of_part), source)
        ratings[part] = to_ratings(columns, of_part, source)
    user_ids, users = _numbered([ratings[part].users for part in _PARTS])
    lengths = [len(ratings[part].users) for part in _PARTS]
    parts = np.repeat(np.arange(3), lengths)
    known = users[: lengths[0]].max(initial=-1) + 1  # training's users are numbered first
    rows = np.flatnonzero(users < known)
    _tell_new_users(user_ids[known:], np.bincount(parts[users >= known], minlength=3))
    item_ids, items = _numbered([ratings[part].items for part in _PARTS], rows)
    user_ids, users, parts = user_ids[:known], users[rows], parts[rows]

    pairs = users * len(item_ids) + items
    train, valid, test = (_without_repeats(np.flatnonzero(parts == n), pairs, part) for n, part in enumerate(_PARTS))
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
        valid=HeldOut.of_pairs(users[valid], items[valid]),
        test=HeldOut.of_pairs(users[test], items[test]),
    )
    if not split.leaves_one_out:
        tell_who_is_evaluated(split, "Give rows of users that `train` has too.")
    with naming("the DataFrames"):
        return with_drawn_negatives(split, split.all_interactions(), config.split_seed)


def _numbered(ids: list[Ids], rows: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
    """The different ids, of some of the rows, in the order of their first appearance, and the number of each row's.

    Ids are text in all parts where they are in one: see `pipelines.readers.ids`.
    """
    all_ids = joined(ids)
    numbers, first = by_first_appearance(codes_of(all_ids)[rows])
    return all_ids[np.arange(len(all_ids))[rows][first]], numbers


def _tell_new_users(user_ids: np.ndarray, counts: np.ndarray) -> None:
    """Gives notice of users without training, of so many rows in each part."""
    if len(user_ids):
        notices.warning(
            f"{len(user_ids):,} user(s), the first of them {user_ids[0]}, have no row in the DataFrame `train`: they "
            f"cannot be learnt about and are left out, with {counts[1]:,} row(s) of `valid` and {counts[2]:,} of "
            "`test`. No figure speaks of such new users; a model serves them by their history."
        )


def _without_repeats(rows: np.ndarray, pairs: np.ndarray, part: str) -> np.ndarray:
    """The rows of a part without those whose user and item stand in an earlier one."""
    _, first = np.unique(pairs[rows], return_index=True)
    if repeats := len(rows) - len(first):
        notices.warning(f"The DataFrame `{part}`: dropped {repeats:,} repeats of a user and item.")
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
    return title_array((titles.get(item, item) for item in as_text(item_ids).tolist()), "the DataFrames")
