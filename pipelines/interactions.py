"""What every reader returns (`Ratings`) and what everything after works on (`Interactions`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from pipelines.errors import InputError
from pipelines.notices import notices


@dataclass(frozen=True)
class Ratings:
    """One row per rating, click or pin, in the order of the source."""

    users: np.ndarray
    """[num_rows] raw user ids, int64 or str."""
    items: np.ndarray
    """[num_rows] raw item ids, int64 or str."""
    ratings: np.ndarray | None = None
    """[num_rows] float32, or None where the source has no grades."""
    timestamps: np.ndarray | None = None
    """[num_rows] float64 seconds (any origin), or None."""
    titles: Mapping = field(default_factory=dict)
    """Raw item id -> title."""
    source: str = ""
    """The file it came from, for error messages."""


@dataclass(frozen=True)
class Interactions:
    """Users' observed items, as compressed sparse rows over dense user and item numbers."""

    offsets: np.ndarray
    """[num_users + 1] int64: user u's items are `items[offsets[u]:offsets[u + 1]]`."""
    items: np.ndarray
    """[num_interactions] int32 item numbers; per user in the order of the source, without repeats."""
    user_ids: np.ndarray
    """[num_users] raw ids, int64 or str."""
    item_ids: np.ndarray
    """[num_items] raw ids, int64 or str."""
    timestamps: np.ndarray | None = None
    """[num_interactions] float64, or None."""
    titles: np.ndarray | None = None
    """[num_items] str, or None."""

    @property
    def num_users(self) -> int:
        return len(self.user_ids)

    @property
    def num_items(self) -> int:
        return len(self.item_ids)

    @property
    def num_interactions(self) -> int:
        return len(self.items)

    @property
    def counts(self) -> np.ndarray:
        """[num_users] int64: how many items each user has."""
        return np.diff(self.offsets)

    @property
    def item_counts(self) -> np.ndarray:
        """[num_items] int64: how many users have each item, its popularity."""
        return np.bincount(self.items, minlength=self.num_items)

    @property
    def users(self) -> np.ndarray:
        """[num_interactions] int32: the user number of each interaction."""
        return np.repeat(np.arange(self.num_users, dtype=np.int32), self.counts)

    def of(self, user: int) -> np.ndarray:
        """The item numbers of one user."""
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def keep(self, mask: np.ndarray) -> "Interactions":
        """The same users and items with only the interactions where `mask` [num_interactions] is true."""
        kept = np.concatenate([[0], np.cumsum(mask)])[self.offsets]
        times = None if self.timestamps is None else self.timestamps[mask]
        return replace(self, offsets=kept, items=self.items[mask], timestamps=times)

    def select(self, users: np.ndarray) -> "Interactions":
        """The rows of some users, in the given order; the catalogue stays whole."""
        offsets = np.concatenate([[0], np.cumsum(self.counts[users])])
        places = np.repeat(self.offsets[users] - offsets[:-1], self.counts[users]) + np.arange(offsets[-1])
        times = None if self.timestamps is None else self.timestamps[places]
        return replace(self, offsets=offsets, items=self.items[places], user_ids=self.user_ids[users], timestamps=times)


def from_ratings(
    ratings: Ratings,
    *,
    min_rating: float = 4.0,
    min_user_items: int = 6,
    min_item_users: int = 1,
    duplicates: str = "last",
) -> Interactions:
    """Turns graded rows into implicit feedback (paper, section 4.1).

    Rows graded below `min_rating` are dropped (sources without grades keep all), then repeats of a (user, item)
    pair, then, until nothing changes, users and items with too few rows (k-core). What is left is numbered by first
    appearance in the source. A notice says how many rows, users and items each filter dropped.

    Args:
      ratings: the rows.
      min_rating: the lowest grade that counts as a positive.
      min_user_items: fewest items a user may have. Two of them are held out by the split.
      min_item_users: fewest users an item may have.
      duplicates: which row of a repeated pair counts: "last" (latest in time, else in the source), "first" or "error".

    Raises:
      InputError: nothing is left, or `duplicates="error"` and there is a repeat.
    """
    _, users = np.unique(ratings.users, return_inverse=True)
    _, items = np.unique(ratings.items, return_inverse=True)
    left, counts = np.arange(len(users)), [_counts(users, items)]

    if ratings.ratings is not None:
        left = np.flatnonzero(ratings.ratings >= min_rating)
    counts.append(_counts(users[left], items[left]))
    times = None if ratings.timestamps is None else ratings.timestamps[left]
    left = left[_without_repeats(users[left], items[left], times, duplicates, ratings, left)]
    counts.append(_counts(users[left], items[left]))
    rows, users, items = left, users[left], items[left]
    while len(rows):
        enough = (np.bincount(users)[users] >= min_user_items) & (np.bincount(items)[items] >= min_item_users)
        if enough.all():
            break
        rows, users, items = rows[enough], users[enough], items[enough]
    counts.append(_counts(users, items))
    if not len(rows):
        raise InputError(
            f"no user has {min_user_items} items left (ratings of at least {min_rating:g}, items with at least "
            f"{min_item_users} users)",
            path=ratings.source,
            remedy="Lower `min_user_items`, `min_item_users` or `min_rating`, or check that the columns are right.",
        )

    reasons = (
        f"for ratings below `min_rating`={min_rating:g}",
        f"for repeats of a user and item (`duplicates`={duplicates})",
        f"for `min_user_items`={min_user_items} and `min_item_users`={min_item_users}",
    )
    steps = zip(pairwise(counts), reasons, strict=True)
    if dropped := [_dropped(before, after, why) for (before, after), why in steps if before != after]:
        notices.warning(f"{ratings.source or 'The data'}: dropped {'; '.join(dropped)}.")

    users, first_user = by_first_appearance(users)
    items, first_item = by_first_appearance(items)
    order = np.argsort(users, kind="stable")
    item_ids = ratings.items[rows[first_item]]
    titles = None
    if ratings.titles:
        titles = np.array([str(ratings.titles.get(item, item)) for item in item_ids.tolist()])
    return Interactions(
        offsets=np.concatenate([[0], np.cumsum(np.bincount(users))]),
        items=items[order].astype(np.int32),
        user_ids=ratings.users[rows[first_user]],
        item_ids=item_ids,
        timestamps=None if ratings.timestamps is None else ratings.timestamps[rows[order]].astype(np.float64),
        titles=titles,
    )


def _counts(users: np.ndarray, items: np.ndarray) -> tuple[int, int, int]:
    """How many rows, users and items there are."""
    return len(users), np.count_nonzero(np.bincount(users)), np.count_nonzero(np.bincount(items))


def _dropped(before: tuple[int, int, int], after: tuple[int, int, int], why: str) -> str:
    """Such as "1,204 row(s), among them all those of 3 user(s) and 0 item(s), for repeats"."""
    rows, users, items = (f"{old - new:,}" for old, new in zip(before, after, strict=True))
    return f"{rows} row(s), among them all those of {users} user(s) and {items} item(s), {why}"


def _without_repeats(
    users: np.ndarray,
    items: np.ndarray,
    times: np.ndarray | None,
    duplicates: str,
    ratings: Ratings,
    rows: np.ndarray,
) -> np.ndarray:
    """Positions, ascending, of the rows that stay when each (user, item) may stand once."""
    order = np.lexsort((items, users) if times is None else (times, items, users))
    same = (np.diff(users[order]) == 0) & (np.diff(items[order]) == 0)
    if duplicates == "error" and same.any():
        row = rows[order[1:][same]].min()
        raise InputError(
            f"user {ratings.users[row]} has item {ratings.items[row]} more than once (row {row + 1} of the data)",
            path=ratings.source,
            remedy="Remove the repeat, or choose `duplicates`=last or `duplicates`=first.",
        )
    keep = np.ones(len(order), bool)
    if duplicates == "first":
        keep[1:] = ~same
    else:
        keep[:-1] = ~same
    return np.sort(order[keep])


def by_first_appearance(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers codes, or ids, in the order in which they first appear.

    Returns:
      The new codes, and for each of them the position of its first appearance.
    """
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    by_position = np.argsort(first)
    number = np.empty(len(first), np.int64)
    number[by_position] = np.arange(len(first))
    return number[inverse], first[by_position]
