"""What one part of a split holds out, and what it is ranked against."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class HeldOut:
    """The held-out items of some users, one or several each, as compressed sparse rows over these users.

    part.items[part.offsets[row] : part.offsets[row + 1]]    # those of the user part.users[row]
    """

    users: np.ndarray
    """[num_rows] int32, ascending: the users of whom anything is held out; the others are not evaluated."""
    offsets: np.ndarray
    """[num_rows + 1] int64, with at least one item in each row."""
    items: np.ndarray
    """[num_held_out] int32 item numbers."""
    negatives: np.ndarray
    """[num_rows, 100] int32: the items that a user's held-out items are ranked against, those of no part."""

    @classmethod
    def one_each(cls, items: np.ndarray, negatives: np.ndarray) -> "HeldOut":
        """One item of every user: `items` [num_users] in the order of users, `negatives` [num_users, n]."""
        return cls(np.arange(len(items), dtype=np.int32), np.arange(len(items) + 1), items, negatives)

    @classmethod
    def of_pairs(cls, users: np.ndarray, items: np.ndarray) -> "HeldOut":
        """Users and items [num_held_out] of pairs sorted by user; the negatives are still to be drawn."""
        found, counts = np.unique(users, return_counts=True)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return cls(found.astype(np.int32), offsets, items.astype(np.int32), np.empty((len(found), 0), np.int32))

    @property
    def counts(self) -> np.ndarray:
        """[num_rows] int64: how many items of each of its users are held out."""
        return np.diff(self.offsets)

    @property
    def several(self) -> bool:
        """Whether more than one item of any user is held out."""
        return len(self.items) > len(self.users)

    @property
    def rows(self) -> np.ndarray:
        """[num_held_out] int64: the row of each item."""
        return np.repeat(np.arange(len(self.users)), self.counts)

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """[num_held_out] int32 users and int32 items."""
        return np.repeat(self.users, self.counts), self.items

    def is_one_each(self, num_users: int) -> bool:
        """Whether it holds out one item of each of so many users."""
        return len(self.users) == num_users and not self.several

    def of(self, user: int) -> np.ndarray:
        """The held-out items of a user; none of one who is not evaluated."""
        row, after = np.searchsorted(self.users, [user, user + 1])
        return self.items[self.offsets[row] : self.offsets[after]]

    def offsets_over(self, num_users: int) -> np.ndarray:
        """[num_users + 1] int64: the offsets of `items` as rows over all users."""
        counts = np.zeros(num_users, np.int64)
        counts[self.users] = self.counts
        return np.concatenate([[0], np.cumsum(counts)])

    def select(self, users: np.ndarray, num_users: int) -> "HeldOut":
        """Of some of `num_users` users alone, numbered anew in the given order."""
        row_of = np.full(num_users, -1)
        row_of[self.users] = np.arange(len(self.users))
        rows = row_of[users]
        found = np.flatnonzero(rows >= 0)
        rows = rows[found]
        offsets = np.concatenate([[0], np.cumsum(self.counts[rows])])
        places = np.repeat(self.offsets[rows] - offsets[:-1], self.counts[rows]) + np.arange(offsets[-1])
        return HeldOut(found.astype(np.int32), offsets, self.items[places], self.negatives[rows])

    def with_negatives(self, negatives: np.ndarray) -> "HeldOut":
        """The same, ranked against these: [num_rows, n] int32."""
        return replace(self, negatives=negatives)
