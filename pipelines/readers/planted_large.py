"""A generated data set of any size whose users' true preferences are known: as a rule, not as a matrix.

The law is like that of `pipelines.readers.planted`. Users and items have tastes, points in a space of a few dimensions,
each around those of its genres. A user likes the items whose inner product with the user's taste reaches a threshold of
the user's own, as a tenth to a quarter of a sample of the catalogue does. Items come before a user by Zipf's law, one
after the other and independently of taste, and the user takes those that they like and have not taken, until they have
as many as they want: a heavy-tailed number. So every interaction is liked, and `Law.likes` tells of any user and item.

Users come in blocks of 512, and each block is drawn from (`planted_seed`, its number) alone: blocks can be made in any
order, on any machine, and nothing of one needs another. Tastes are multiples of 1/64, whose inner products float32
holds exactly, so that all machines make the same set.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

import numpy as np

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.held_out import HeldOut
from pipelines.interactions import Interactions
from pipelines.memory import require_memory
from pipelines.paths import AnyPath
from pipelines.readers.planted import GENRES, LIKED_SHARE, MIN_POSITIVES, around, titles_by_genre
from pipelines.split import NUM_EVALUATION_NEGATIVES, Split, latest

SETTINGS = ("planted_users", "planted_items", "planted_user_items", "planted_seed", "split_seed")
NAME = "planted_large"
FEWEST_ITEMS = 200
"""Of the catalogue: of fewer a user might not dislike as many as evaluation needs."""
MAX_TAKEN = 0.5
"""Largest share of the items they like, about, that a user takes."""
BLOCK = 512
"""Users that are generated at once."""
MOST_LISTED = 1 << 26
"""Pairs of a user and an item up to which all that users like is listed (`Split.false_negatives`); beyond, it would be
most of the data, and `Law.likes` tells it."""
_DIMENSIONS = 8
_SAMPLE = 256
"""Items that thresholds come from."""
_SLOTS_AN_ITEM = 32
_SECONDS_A_YEAR = 31_536_000
_TURNS, _MOST_DRAWS = 12, 1 << 16
_OF_ITEMS, _OF_USERS, _OF_NEGATIVES = 0, 1, 2
"""Tell the seeds of generators apart."""


@dataclass(frozen=True)
class Users:
    """What the users of one block are like."""

    first: int
    """The number of the first."""
    tastes: np.ndarray
    """[num_users, dimensions] float32."""
    thresholds: np.ndarray
    """[num_users] float32: the least inner product that they like."""
    wanted: np.ndarray
    """[num_users] int64: how many items they take."""
    generator: np.random.Generator
    """What draws all that is theirs."""


@dataclass(frozen=True)
class Taken:
    """What the users of one block have taken, and the negatives of their evaluation."""

    interactions: Interactions
    """Their ids are their numbers; items ascend."""
    negatives: np.ndarray
    """[num_users, 100] int32: items that they dislike."""
    liked: tuple[np.ndarray, np.ndarray] | None
    """Offsets and items: what they like and have not taken, where it is listed."""


class Law:
    """All that the settings determine without any user: the items, and how they come before users."""

    def __init__(self, config: DataConfig) -> None:
        """Args:
          config: `planted_users`, `planted_items`, `planted_user_items`, `planted_seed` and `split_seed`.

        Raises:
          InputError: the catalogue is too small.
        """
        if config.planted_items < FEWEST_ITEMS:
            raise InputError(
                f"`planted_items`={config.planted_items} are too few for `dataset`={NAME}",
                remedy=f"Set `planted_items` to {FEWEST_ITEMS} or more.",
            )
        self.config, num_items = config, config.planted_items
        rng = np.random.default_rng([config.planted_seed, _OF_ITEMS])
        self._genre_tastes = rng.standard_normal((len(GENRES), _DIMENSIONS))
        self.item_genres = np.sort(rng.integers(len(GENRES), size=num_items))
        self.item_tastes = around(self._genre_tastes[self.item_genres], rng).astype(np.float32)
        self._sample = self.item_tastes[rng.permutation(num_items)[:_SAMPLE]]
        # Zipf's law, flattened at its head so that no item comes before everybody; each item has its share of slots.
        ends = np.cumsum(1 / (6 + np.arange(num_items)))
        num_slots = 1 << (_SLOTS_AN_ITEM * num_items - 1).bit_length()
        slots = np.diff(np.floor(ends / ends[-1] * num_slots).astype(np.int64), prepend=0)
        self._slots = np.repeat(rng.permutation(num_items).astype(np.int32), slots)

    @property
    def num_blocks(self) -> int:
        return -(-self.config.planted_users // BLOCK)

    @property
    def lists_liked(self) -> bool:
        """Whether the set is small enough to list all that users like."""
        return self.config.planted_users * self.config.planted_items <= MOST_LISTED

    def likes(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether users like items.

        Args:
          users: [n] numbers.
          items: [n] numbers, or [n, k].

        Returns:
          bool, of the shape of `items`.
        """
        blocks, place = np.unique(np.asarray(users) // BLOCK, return_inverse=True)
        items, liked = np.asarray(items), np.empty(np.shape(items), bool)
        for number, block in enumerate(blocks.tolist()):
            rows = np.flatnonzero(place == number)
            of = self.users(block)
            own = np.asarray(users)[rows] - of.first
            scores = np.einsum("nd,n...d->n...", of.tastes[own], self.item_tastes[items[rows]])
            liked[rows] = scores >= of.thresholds[own].reshape(-1, *[1] * (items.ndim - 1))
        return liked

    def users(self, block: int) -> Users:
        """The users of a block."""
        config, first = self.config, block * BLOCK
        size = min(BLOCK, config.planted_users - first)
        rng = np.random.default_rng([config.planted_seed, _OF_USERS, block])
        genres = rng.integers(len(GENRES), size=(size, 2))
        tastes = around(self._genre_tastes[genres].mean(axis=1), rng).astype(np.float32)
        scores = np.sort(tastes @ self._sample.T, axis=1)[:, ::-1]
        shares = rng.uniform(*LIKED_SHARE, size)
        thresholds = scores[np.arange(size), (shares * scores.shape[1]).astype(int) - 1]
        mean = config.planted_user_items - MIN_POSITIVES
        # Heavy-tailed: the square of an exponential variable, whose mean is 2.
        wanted = MIN_POSITIVES + (mean / 2 * rng.standard_exponential(size) ** 2).astype(np.int64)
        most = (MAX_TAKEN * shares * config.planted_items).astype(np.int64)
        return Users(first, tastes, thresholds, np.clip(wanted, None, np.maximum(most, MIN_POSITIVES)), rng)

    def taken(self, block: int) -> Taken:
        """What the users of a block have taken."""
        config, users = self.config, self.users(block)
        rng, num_items = users.generator, config.planted_items
        taken = self._first(users, users.wanted, lambda size: self._slots[_below(rng, len(self._slots), size)])
        offsets = np.concatenate([[0], np.cumsum(np.bincount(taken // num_items, minlength=len(users.wanted)))])
        interactions = Interactions(
            offsets=offsets,
            items=(taken % num_items).astype(np.int32),
            user_ids=np.arange(users.first, users.first + len(users.wanted)),
            item_ids=np.arange(num_items),
            timestamps=rng.integers(_SECONDS_A_YEAR, size=len(taken)).astype(np.float64),
        )
        of_negatives = np.random.default_rng([config.split_seed, _OF_NEGATIVES, block])
        wanted = np.full(len(users.wanted), NUM_EVALUATION_NEGATIVES)
        drawn = self._first(users, wanted, lambda size: _below(of_negatives, num_items, size), liked=False)
        negatives = (drawn % num_items).astype(np.int32).reshape(-1, NUM_EVALUATION_NEGATIVES)
        return Taken(interactions, negatives, self._liked(users, taken) if self.lists_liked else None)

    def _first(
        self,
        users: Users,
        wanted: np.ndarray,
        draw: Callable[[int], np.ndarray],
        *,
        liked: bool = True,
    ) -> np.ndarray:
        """The first different items, of those that are drawn, that users like or dislike.

        Args:
          users: of a block.
          wanted: [num_users] how many of each user's.
          draw: so many items.
          liked: whether they like them.

        Returns:
          [n] int64, user * num_items + item, ascending. Who finds hardly anything new gets fewer, but at least six.
        """
        num_items, found = self.config.planted_items, np.zeros(0, np.int64)
        counts = np.zeros(len(wanted), np.int64)
        for turn in count():
            goal = wanted if turn < _TURNS or not liked else np.minimum(wanted, MIN_POSITIVES)
            active = np.flatnonzero(counts < goal)
            if not len(active):
                return np.sort(found)
            draws = np.minimum((goal - counts)[active] * (8 << min(turn, 8) if liked else 2) + 16, _MOST_DRAWS)
            owners = np.repeat(active, draws)
            items = draw(len(owners))
            scores = np.einsum("nd,nd->n", users.tastes[owners], self.item_tastes[items])
            good = (scores >= users.thresholds[owners]) == liked
            every = np.concatenate([found, owners[good] * num_items + items[good]])
            every = every[np.sort(np.unique(every, return_index=True)[1])]
            every = every[np.argsort(every // num_items, kind="stable")]  # what was found before stays before
            counts = np.bincount(every // num_items, minlength=len(wanted))
            rank = np.arange(len(every)) - np.repeat(np.cumsum(counts) - counts, counts)
            found, counts = every[rank < wanted[every // num_items]], np.minimum(counts, wanted)

    def _liked(self, users: Users, taken: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """CSR of what the users like and have not taken."""
        liked = users.tastes @ self.item_tastes.T >= users.thresholds[:, None]
        liked.reshape(-1)[taken] = False
        return np.concatenate([[0], np.cumsum(liked.sum(axis=1))]), np.nonzero(liked)[1].astype(np.int32)

    def titles(self) -> np.ndarray:
        """[num_items] titles that name the genre."""
        return titles_by_genre(self.item_genres)

    def blocks(self, first: int, end: int) -> Iterator[tuple[Taken, slice]]:
        """The blocks that users from `first` to before `end` are in, and which of a block's users these are."""
        for block in range(first // BLOCK, -(-end // BLOCK)):
            start = block * BLOCK
            yield self.taken(block), slice(max(first - start, 0), min(end - start, BLOCK))

    def part(self, first: int, end: int) -> tuple[Split, np.ndarray]:
        """Users from `first` to before `end`, numbered from 0, as a split of their own; and their negatives."""
        found = [_sliced(*each) for each in self.blocks(first, end)]
        users = np.concatenate([each.interactions.user_ids for each in found])
        whole = Interactions(
            offsets=_joined([each.interactions.offsets for each in found]),
            items=np.concatenate([each.interactions.items for each in found]),
            user_ids=users,
            item_ids=np.arange(self.config.planted_items),
            timestamps=np.concatenate([each.interactions.timestamps for each in found]),
        )
        negatives = np.concatenate([each.negatives for each in found])
        one = np.ones(len(users), np.int64)
        in_valid, in_test = latest(whole, whole.timestamps, one, one)
        valid, test = (HeldOut.one_each(whole.items[mask], negatives) for mask in (in_valid, in_test))
        liked = None
        if self.lists_liked:
            liked = _joined([each.liked[0] for each in found]), np.concatenate([each.liked[1] for each in found])
        return Split(NAME, whole.keep(~(in_valid | in_test)), valid, test, liked), negatives


@lru_cache(maxsize=1)
def law_of(config: DataConfig) -> Law:
    """The law of these settings, made once."""
    return Law(config)


def sizes(config: DataConfig) -> tuple[int, int]:
    """How many users and items there are, known before anything is generated."""
    return config.planted_users, config.planted_items


def read(_path: AnyPath | None, config: DataConfig) -> Split:
    """Generates the set that `planted_users`, `planted_items`, `planted_user_items` and the seeds describe, in memory.

    Interactions have times, at random within a year. Evaluation negatives are drawn from the items that the user truly
    dislikes. `pipelines.ingest` makes the same set, and needs no memory that grows with it.

    Raises:
      InputError: the catalogue is too small, or the set does not fit into memory.
    """
    by = f"a planted set of {config.planted_users:,} users with {config.planted_user_items:,} items each"
    a_user = 40 * config.planted_user_items + 8 * NUM_EVALUATION_NEGATIVES
    require_memory(a_user * config.planted_users, by, "Ingest it (python -m pipelines.ingest), and read it streamed.")
    law = law_of(config)
    split, _ = law.part(0, config.planted_users)
    train = split.train
    named = Interactions(
        train.offsets, train.items, train.user_ids, train.item_ids, timestamps=train.timestamps, titles=law.titles()
    )
    return Split(NAME, named, split.valid, split.test, split.false_negatives)


def _below(rng: np.random.Generator, limit: int, size: int) -> np.ndarray:
    return rng.integers(limit, size=size, dtype=np.int32)


def _sliced(taken: Taken, users: slice) -> Taken:
    """Some consecutive users of a block."""
    numbers = np.arange(users.start, users.stop)
    if len(numbers) == taken.interactions.num_users:
        return taken
    liked = taken.liked
    if liked is not None:
        offsets, items = liked
        of = slice(offsets[users.start], offsets[users.stop])
        liked = offsets[users.start : users.stop + 1] - offsets[users.start], items[of]
    return Taken(taken.interactions.select(numbers), taken.negatives[users], liked)


def _joined(offsets: list[np.ndarray]) -> np.ndarray:
    """Offsets of rows that are put one after the other."""
    starts = np.cumsum([0, *(each[-1] for each in offsets)])
    parts = [each[1:] + start for each, start in zip(offsets, starts.tolist(), strict=False)]
    return np.concatenate([[0], *parts])
