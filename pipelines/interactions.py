"""What every reader returns (`Ratings`) and what everything after works on (`Interactions`)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pipelines.errors import InputError
from pipelines.notices import notices
from pipelines.raw_ids import Ids, codes_of
from pipelines.shares import Share, even_share
from pipelines.titles import title_array


@dataclass(frozen=True)
class Ratings:
    """One row per rating, click or pin, in the order of the source."""

    users: Ids
    """[num_rows] raw user ids, int64 or text."""
    items: Ids
    """[num_rows] raw item ids, int64 or text."""
    ratings: np.ndarray | None = None
    """[num_rows] float32, or None where the source has no grades."""
    timestamps: np.ndarray | None = None
    """[num_rows] float64 seconds (any origin), or None."""
    titles: Mapping = field(default_factory=dict)
    """Raw item id -> title."""
    source: str = ""
    """The file it came from, for error messages."""


@dataclass(frozen=True)
class Filter:
    """What one filter dropped."""

    setting: str
    """Which: "min_rating", "duplicates", "min_user_items" or "min_item_users"."""
    rows: int
    users: int
    """Users of whom it left no row."""
    items: int
    """Items of which it left no row."""


@dataclass(frozen=True)
class Interactions:
    """Users' observed items, as compressed sparse rows over dense user and item numbers."""

    offsets: np.ndarray
    """[num_users + 1] int64: user u's items are `items[offsets[u]:offsets[u + 1]]`."""
    items: np.ndarray
    """[num_interactions] int32 item numbers; per user in the order of the source, without repeats."""
    user_ids: np.ndarray
    """[num_users] raw ids, int64 or Python strings."""
    item_ids: np.ndarray
    """[num_items] raw ids, int64 or Python strings."""
    timestamps: np.ndarray | None = None
    """[num_interactions] float64, or None."""
    titles: np.ndarray | None = None
    """[num_items] Python strings, or None."""
    filters: tuple[Filter, ...] = ()
    """What was dropped to come to these, by each filter that dropped something."""
    dropped: "Interactions | None" = None
    """The users whom the filters dropped and who have some of these items: those, of the same numbers. Nothing is
    learnt of them or measured by them; they are served by what they have."""

    @property
    def num_dropped_users(self) -> int:
        """How many users are dropped and have some of the items."""
        return 0 if self.dropped is None else self.dropped.num_users

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

    def blocks(self) -> Iterator["Interactions"]:
        """All users in their order, so many at a time: here at once. Data that is not in memory is read by blocks."""
        yield self

    def share(self, number: int, of: int) -> Share:
        """The users of one of several replicas that train together: as many as any other has."""
        return even_share(self.num_users, number, of)

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

    def drop(self, users: np.ndarray) -> "Interactions":
        """Without some users, who are `dropped` from now on, and without the items that nobody else has.

        Args:
          users: [n] their numbers.
        """
        stays = np.ones(self.num_users, bool)
        stays[users] = False
        kept, dropped = self.select(np.flatnonzero(stays)), self.select(users).with_dropped()
        used = kept.item_counts > 0
        dropped = dropped.keep(used[dropped.items])
        dropped = dropped.select(np.flatnonzero(dropped.counts))
        kept, dropped = kept._with_items(used), dropped._with_items(used)
        dropped = replace(dropped, timestamps=None, titles=None, filters=())
        return replace(kept, dropped=dropped if dropped.num_users else None)

    def _with_items(self, used: np.ndarray) -> "Interactions":
        """The same with a smaller catalogue: [num_items] whether an item stays, as all of the interactions must."""
        numbers = (np.cumsum(used) - 1).astype(np.int32)
        titles = None if self.titles is None else self.titles[used]
        return replace(self, items=numbers[self.items], item_ids=self.item_ids[used], titles=titles)

    def with_dropped(self) -> "Interactions":
        """The users, and after them those who are dropped; without times."""
        if self.dropped is None:
            return self
        return replace(
            self,
            offsets=np.concatenate([self.offsets, self.num_interactions + self.dropped.offsets[1:]]),
            items=np.concatenate([self.items, self.dropped.items]),
            user_ids=np.concatenate([self.user_ids, self.dropped.user_ids]),
            timestamps=None,
            dropped=None,
        )


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
    appearance in the source. A notice says how many rows, users and items each filter dropped. Dropped users who have
    some of the items that are left are kept apart, as `Interactions.dropped`.

    Args:
      ratings: the rows.
      min_rating: the lowest grade that counts as a positive.
      min_user_items: fewest items a user may have. Two of them are held out by the split.
      min_item_users: fewest users an item may have.
      duplicates: which row of a repeated pair counts: "last" (latest in time, else in the source), "first" or "error".

    Raises:
      InputError: nothing is left, or `duplicates="error"` and there is a repeat.
    """
    users, items = codes_of(ratings.users), codes_of(ratings.items)
    told = Told(*_counts(users, items))
    rows = np.arange(len(users))
    if ratings.ratings is not None:
        rows = np.flatnonzero(ratings.ratings >= min_rating)
        if len(users) and not len(rows):
            raise none_reaches(min_rating, ratings.ratings.min(), ratings.ratings.max(), ratings.source)
    told.left("min_rating", *_counts(users[rows], items[rows]))
    times = None if ratings.timestamps is None else ratings.timestamps[rows]
    rows = rows[_without_repeats(users[rows], items[rows], times, duplicates, ratings, rows)]
    users, items = users[rows], items[rows]
    told.left("duplicates", *_counts(users, items))
    core = _core(users, items, min_user_items, min_item_users, told)
    if not len(core):
        raise nothing_left(ratings.source, min_rating, min_user_items, min_item_users)
    numbers, first = by_first_appearance(items[core])
    item_ids = ratings.items[rows[core[first]]]
    titles = None
    if ratings.titles:
        titles = title_array((str(ratings.titles.get(item, item)) for item in item_ids.tolist()), ratings.source)
    kept = _rows(ratings, rows[core], users[core], numbers, timed=True, item_ids=item_ids, titles=titles)
    dropped = _of_dropped_users(ratings, rows, users, items, core, kept)
    tell_dropped(
        ratings.source,
        told.filters,
        dropped.num_users if dropped else 0,
        min_rating=min_rating,
        min_user_items=min_user_items,
        min_item_users=min_item_users,
        duplicates=duplicates,
    )
    return replace(kept, filters=told.filters, dropped=dropped)


def nothing_left(source: str, min_rating: float, min_user_items: int, min_item_users: int) -> InputError:
    """The error for filters that leave no row."""
    return InputError(
        f"no user has {min_user_items} items left (ratings of at least {min_rating:g}, items with at least "
        f"{min_item_users} users)",
        path=source,
        remedy="Lower `min_user_items`, `min_item_users` or `min_rating`, or check that the columns are right.",
    )


def tell_dropped(
    source: str,
    filters: tuple[Filter, ...],
    num_dropped_users: int,
    *,
    min_rating: float,
    min_user_items: int,
    min_item_users: int,
    duplicates: str,
) -> None:
    """Gives notice of what the filters of these settings dropped, if anything."""
    if not filters:
        return
    reasons = {
        "min_rating": f"ratings below `min_rating`={min_rating:g}",
        "duplicates": f"repeats of a user and item (`duplicates`={duplicates})",
        "min_user_items": f"users with fewer than `min_user_items`={min_user_items} items",
        "min_item_users": f"items with fewer than `min_item_users`={min_item_users} users",
    }
    told_of = "; ".join(f"{_format(each)} for {reasons[each.setting]}" for each in filters)
    served = f" {num_dropped_users:,} dropped user(s) are served by the items that they have left."
    notices.warning(f"{source or 'The data'}: dropped {told_of}.{served if num_dropped_users else ''}")


def _of_dropped_users(
    ratings: Ratings, rows: np.ndarray, users: np.ndarray, items: np.ndarray, core: np.ndarray, kept: Interactions
) -> Interactions | None:
    """The users who are not in the core, with what they have of its items; None where nobody has any.

    Args:
      ratings: the source.
      rows: [n] which of its rows are positives.
      users: [n] codes of their users.
      items: [n] likewise.
      core: positions in `rows` of those that are kept.
      kept: those.
    """
    numbers, is_kept = np.full(items.max() + 1, -1), np.zeros(users.max() + 1, bool)
    numbers[items[core]], is_kept[users[core]] = by_first_appearance(items[core])[0], True
    others = np.flatnonzero(~is_kept[users] & (numbers[items] >= 0))
    if not len(others):
        return None
    of_others = rows[others], users[others], numbers[items[others]]
    return _rows(ratings, *of_others, timed=False, item_ids=kept.item_ids)


def none_reaches(min_rating: float, low: float, high: float, source: str) -> InputError:
    """The error for grades from `low` to `high` that are all below `min_rating`, which is of another scale."""
    remedy = f"Set `min_rating` to the lowest rating of this scale that means liked, {high:g} or less"
    if low >= 0 and high == 1:
        remedy = "Set `min_rating`=1: then 1 counts as liked"
    return InputError(
        f"the ratings go from {low:g} to {high:g}, and none reaches `min_rating`={min_rating:g}",
        path=source,
        remedy=f"{remedy}; or name no rating column, and every row counts.",
    )


class Told:
    """Keeps count of what each filter drops."""

    def __init__(self, rows: int, users: int, items: int) -> None:
        """Args: how many there are before any filter."""
        self._before, self._dropped = (rows, users, items), {}

    def left(self, setting: str, rows: int, users: int, items: int) -> None:
        """What is left after a filter, which may have its turn again."""
        former, after = self._dropped.get(setting, (0, 0, 0)), (rows, users, items)
        self._dropped[setting] = tuple(n + old - new for n, old, new in zip(former, self._before, after, strict=True))
        self._before = after

    @property
    def filters(self) -> tuple[Filter, ...]:
        return tuple(Filter(setting, *counts) for setting, counts in self._dropped.items() if any(counts))


def _counts(users: np.ndarray, items: np.ndarray) -> tuple[int, int, int]:
    """How many rows, users and items there are."""
    return len(users), *(int(np.count_nonzero(np.bincount(ids))) for ids in (users, items))


def _format(dropped: Filter) -> str:
    """Such as "1,204 row(s), among them all those of 3 user(s) and 0 item(s),"."""
    return f"{dropped.rows:,} row(s), among them all those of {dropped.users:,} user(s) and {dropped.items:,} item(s),"


def _core(users: np.ndarray, items: np.ndarray, min_user_items: int, min_item_users: int, told: Told) -> np.ndarray:
    """Positions of the rows that are left when users and items with too few rows go, until there are none."""
    core, before = np.arange(len(users)), -1
    filters = ("min_user_items", users, min_user_items), ("min_item_users", items, min_item_users)
    while len(core) != before:
        before = len(core)
        for setting, ids, fewest in filters:
            enough = np.bincount(ids[core])[ids[core]] >= fewest
            if not enough.all():
                core = core[enough]
                told.left(setting, *_counts(users[core], items[core]))
    return core


def _rows(
    ratings: Ratings, rows: np.ndarray, users: np.ndarray, items: np.ndarray, *, timed: bool, **of_items: object
) -> Interactions:
    """Some rows of the source as interactions.

    Args:
      ratings: the source.
      rows: [n] which rows.
      users: [n] a code of each row's user.
      items: [n] the number of each row's item.
      timed: whether they keep their times.
      **of_items: ids and titles of all items.
    """
    users, first = by_first_appearance(users)
    order = np.argsort(users, kind="stable")
    times = ratings.timestamps if timed else None
    return Interactions(
        offsets=np.concatenate([[0], np.cumsum(np.bincount(users))]),
        items=items[order].astype(np.int32),
        user_ids=ratings.users[rows[first]],
        timestamps=None if times is None else times[rows[order]].astype(np.float64),
        **of_items,
    )


def _without_repeats(
    users: np.ndarray,
    items: np.ndarray,
    times: np.ndarray | None,
    duplicates: str,
    ratings: Ratings,
    rows: np.ndarray,
) -> np.ndarray:
    """Positions, ascending, of the rows that stay when each (user, item) may stand once."""
    keep, repeat = without_repeats(users, items, times, duplicates)
    if duplicates == "error" and repeat is not None:
        row = rows[repeat]
        raise repeated(ratings.users[row], ratings.items[row], row, ratings.source)
    return keep


def without_repeats(
    users: np.ndarray, items: np.ndarray, times: np.ndarray | None, duplicates: str
) -> tuple[np.ndarray, int | None]:
    """Positions, ascending, of the rows that stay when each (user, item) may stand once; and the first of a repeat.

    Args:
      users: [num_rows] codes.
      items: [num_rows] codes.
      times: [num_rows], or None.
      duplicates: as in `from_ratings`; of "error" the caller makes one.
    """
    order = np.lexsort((items, users) if times is None else (times, items, users))
    same = (np.diff(users[order]) == 0) & (np.diff(items[order]) == 0)
    keep = np.ones(len(order), bool)
    if duplicates == "first":
        keep[1:] = ~same
    else:
        keep[:-1] = ~same
    return np.sort(order[keep]), int(order[1:][same].min()) if same.any() else None


def repeated(user: object, item: object, row: int, source: str) -> InputError:
    """The error for a pair that stands once more in `row`, counted from 0."""
    return InputError(
        f"user {user} has item {item} more than once (row {row + 1} of the data)",
        path=source,
        remedy="Remove the repeat, or choose `duplicates`=last or `duplicates`=first.",
    )


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
