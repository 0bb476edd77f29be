"""What a client gets back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Reason:
    """An item that the user has, and what it adds to the score of another."""

    item: int | str
    contribution: float
    title: str | None


@dataclass(frozen=True)
class Entry:
    """One item of a list."""

    item: int | str
    score: float
    title: str | None
    """None where no title is known."""
    because: list[Reason] | None = None
    """What of the user's history speaks most for it; None where that was not asked."""


@dataclass(frozen=True)
class Row:
    """The list for one user, item or history."""

    query: object
    """The user id, the item id or the history it is for."""
    known: bool
    """Whether the model knows it; an unknown user or history gets popular items, an unknown item none."""
    entries: list[Entry]
    """Best first."""


@dataclass(frozen=True)
class Recommendations:
    """Lists of items, a row for each user, item or history that was asked for. Iterates over its rows."""

    queries: np.ndarray
    """[n] what was asked about: raw ids of users or items, int64 or str objects, or histories, lists of raw ids."""
    items: np.ndarray
    """[n, width] raw ids, int64 or str objects, best first; `padding` at the end of rows with fewer items."""
    scores: np.ndarray
    """[n, width] float32; without meaning where `items` is padding."""
    known: np.ndarray
    """[n] bool: whether the model knows the user, the item, or any item of the history."""
    padding: int | str
    """What stands in `items` where there is none."""
    titles: Mapping = field(default_factory=dict, repr=False)
    """Raw item id -> title."""
    num_unknown: np.ndarray | None = None
    """[n] int32, for histories: how many of the ids the model does not know."""
    because: np.ndarray | None = None
    """[n, width, m], where reasons were asked for: the items of the user's history that add most to each score."""
    contributions: np.ndarray | None = None
    """[n, width, m] float32: what they add; without meaning where `because` is padding."""

    def __len__(self) -> int:
        return len(self.known)

    def __iter__(self) -> Iterator[Row]:
        for place, (query, known, items, scores) in enumerate(
            zip(self.queries.tolist(), self.known.tolist(), self.items.tolist(), self.scores.tolist(), strict=True)
        ):
            entries = [
                Entry(item, score, self.titles.get(item), self.reasons(place, rank))
                for rank, (item, score) in enumerate(zip(items, scores, strict=True))
                if item != self.padding
            ]
            yield Row(query, known, entries)

    def reasons(self, row: int, rank: int) -> list[Reason] | None:
        """What speaks for the item at a place, most first; None where that was not asked."""
        if self.because is None:
            return None
        both = zip(self.because[row, rank].tolist(), self.contributions[row, rank].tolist(), strict=True)
        return [Reason(item, adds, self.titles.get(item)) for item, adds in both if item != self.padding]


@dataclass(frozen=True)
class Ranking:
    """Scores of items that the caller named, in the caller's order."""

    queries: np.ndarray
    """[n] raw ids of the users."""
    items: np.ndarray
    """[n, num_items] raw ids."""
    scores: np.ndarray
    """[n, num_items] float32; float32's lowest where the item is unknown."""
    known_item: np.ndarray
    """[n, num_items] bool."""
    known_user: np.ndarray
    """[n] bool; the scores of an unknown user are the items' popularity."""
    titles: Mapping = field(default_factory=dict, repr=False)
    """Raw item id -> title."""
