"""A split data set, fixed evaluation negatives, and the splits by user (paper, sections 4.1 and 4.3)."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipelines.errors import InputError
from pipelines.held_out import HeldOut
from pipelines.interactions import Interactions

NUM_EVALUATION_NEGATIVES = 100


@dataclass(frozen=True)
class Split:
    """A split data set: what training sees, and what evaluation asks."""

    name: str
    train: Interactions
    """Every user has an item or more here."""
    valid: HeldOut
    test: HeldOut
    false_negatives: tuple[np.ndarray, np.ndarray] | None = None
    """Where known: CSR (offsets, items) of the unobserved items that each user would in truth like."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any interaction, held-out item, evaluation negative or id."""
        digest = hashlib.sha256()
        if self.leaves_one_out:
            held_out = [self.valid.items, self.test.items]
        else:
            digest.update(b"several held out")
            held_out = [a for part in (self.valid, self.test) for a in (part.users, part.offsets, part.items)]
        for array in (self.train.offsets, self.train.items, *held_out):
            digest.update(np.ascontiguousarray(array, np.int64))
        for part in (self.valid, self.test):
            digest.update(np.ascontiguousarray(part.negatives, np.int32))
        for ids in (self.train.user_ids, self.train.item_ids):
            digest.update("".join(f"{raw_id}\0" for raw_id in ids.tolist()).encode())
        return digest.hexdigest()[:16]

    @property
    def leaves_one_out(self) -> bool:
        """Whether each user has one validation item and one test item."""
        return all(part.is_one_each(self.train.num_users) for part in (self.valid, self.test))

    @property
    def several(self) -> bool:
        """Whether validation or test has more than one item of any user."""
        return self.valid.several or self.test.several

    @property
    def cold_held_out(self) -> tuple[int, int]:
        """How many validation and test items no user has in training: their factors are never learnt."""
        seen = np.bincount(self.train.items, minlength=self.train.num_items) > 0
        return int((~seen[self.valid.items]).sum()), int((~seen[self.test.items]).sum())

    def known_false_negatives(self) -> tuple[np.ndarray, np.ndarray]:
        """The pairs that training may draw as negatives and that are known to be liked.

        Where the data set knows them these are its `false_negatives`; elsewhere the held-out items.

        Returns:
          [n] users and [n] items.
        """
        if self.false_negatives is not None:
            offsets, items = self.false_negatives
            return np.repeat(np.arange(self.train.num_users), np.diff(offsets)), items
        (valid_users, valid), (test_users, test) = self.valid.pairs, self.test.pairs
        return np.concatenate([valid_users, test_users]), np.concatenate([valid, test])

    def select(self, users: np.ndarray) -> "Split":
        """Of some users alone, numbered anew in the given order; the catalogue stays whole.

        Args:
          users: [n] different numbers.
        """
        num_users, liked = self.train.num_users, self.false_negatives
        if liked is not None:
            counts = np.diff(liked[0])[users]
            offsets = np.concatenate([[0], np.cumsum(counts)])
            places = np.repeat(liked[0][users] - offsets[:-1], counts) + np.arange(offsets[-1])
            liked = offsets, liked[1][places]
        return Split(
            self.name,
            replace(self.train.select(users), dropped=None),
            self.valid.select(users, num_users),
            self.test.select(users, num_users),
            liked,
        )

    def blocks(self) -> Iterator["Block"]:
        """All users in their order, so many at a time: here at once. Data that is not in memory is read by blocks."""
        yield Block(slice(None), self)

    def all_interactions(self) -> Interactions:
        """Training, validation and test: all that a user is known to have seen; without times."""
        return self._train_and(self.valid, self.test)

    def with_all_in_training(self) -> "Split":
        """The same with the held-out items in training too: there they are known, and measure nothing any more."""
        return replace(self, train=self.all_interactions())

    def seen_before(self, part: str) -> Interactions:
        """What a user has seen before the items of "valid" or "test", which lists that are asked for them leave out.

        Training for validation, training and validation for test, without times there; as RecBole has it.
        """
        return self.train if part == "valid" else self._train_and(self.valid)

    def _train_and(self, *parts: HeldOut) -> Interactions:
        """The training items of each user and after them the held-out ones."""
        train = self.train
        users, items = (np.concatenate(arrays) for arrays in zip(*(part.pairs for part in parts), strict=True))
        added = np.bincount(users, minlength=train.num_users)
        return replace(
            train,
            offsets=train.offsets + np.concatenate([[0], np.cumsum(added)]),
            items=np.insert(train.items, train.offsets[1:][users], items),  # stable: in the order of the parts
            timestamps=None,
        )

    def statistics(self) -> dict[str, int]:
        """The rows of the paper's Table 2."""
        return {
            "#User": self.train.num_users,
            "#Item": self.train.num_items,
            "#Train": self.train.num_interactions,
            "#Valid": len(self.valid.items),
            "#Test": len(self.test.items),
        }


@dataclass(frozen=True)
class Block:
    """Some users of a data set, in memory."""

    users: slice | np.ndarray
    """Their numbers in the data set, ascending."""
    split: Split
    """What there is of them, numbered anew from 0; the catalogue is whole."""


def leave_one_out(name: str, interactions: Interactions, seed: int) -> Split:
    """Holds out each user's latest item for test and the one before for validation.

    Ties in time go to the earlier row of the source, which reproduces SRNS's published split of MovieLens-1M. Where
    there are no timestamps the two are drawn at random from `seed`.

    Raises:
      InputError: a user has fewer than three items, or has seen so much that 100 negatives cannot be drawn.
    """
    one = np.ones(interactions.num_users, np.int64)
    return _latest_held_out(name, interactions, one, one, seed)


def by_ratio(name: str, interactions: Interactions, valid_share: float, test_share: float, seed: int) -> Split:
    """Holds out a share of each user's items: the latest for test, those before them for validation.

    Shares are rounded down, but each part keeps an item of every user at the least. Ties and missing timestamps count
    as for `leave_one_out`.

    Raises:
      InputError: as `leave_one_out`.
    """
    return _latest_held_out(name, interactions, *ratio_counts(interactions.counts, valid_share, test_share), seed)


def ratio_counts(counts: np.ndarray, valid_share: float, test_share: float) -> tuple[np.ndarray, np.ndarray]:
    """How many of each user's `counts` [num_users] items `by_ratio` holds out for validation, and for test."""
    # A share of 0.29 of 100 is 29, though its product in binary is less.
    valid, test = (np.floor(share * counts + 1e-9).astype(np.int64) for share in (valid_share, test_share))
    test = np.clip(test, 1, counts - 2)
    return np.clip(valid, 1, counts - test - 1), test


def _latest_held_out(
    name: str, interactions: Interactions, num_valid: np.ndarray, num_test: np.ndarray, seed: int
) -> Split:
    """Holds out so many of each user's latest items: [num_users] each."""
    counts = interactions.counts
    if (short := np.flatnonzero(counts < 3)).size:
        raise InputError(
            f"user {interactions.user_ids[short[0]]} has {counts[short[0]]} item(s), and {short.size - 1} other users "
            "have fewer than three; validation, test and training need one each",
            remedy="Set `min_user_items` to 3 or more.",
        )
    if interactions.timestamps is None:
        recency = recency_draws(seed).random(interactions.num_interactions)
    else:
        recency = interactions.timestamps
    return divide(name, interactions, *latest(interactions, recency, num_valid, num_test), seed)


def recency_draws(seed: int) -> np.random.Generator:
    """What draws, in the order of the interactions, how late each is where there are no timestamps."""
    return np.random.default_rng([seed, 0])


def latest(
    interactions: Interactions, recency: np.ndarray, num_valid: np.ndarray, num_test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which interactions are held out for validation and for test when these take each user's latest.

    Args:
      interactions: all of them.
      recency: [num_interactions] how late each is.
      num_valid: [num_users] how many of each user's go to validation.
      num_test: [num_users] likewise.

    Returns:
      [num_interactions] bool, twice.
    """
    users, counts = interactions.users, interactions.counts
    latest_first = np.lexsort((-recency, users))  # stable: ties stay in the order of the source
    place = np.empty(len(users), np.int64)
    place[latest_first] = np.arange(len(users)) - np.repeat(interactions.offsets[:-1], counts)
    in_test = place < num_test[users]
    return (place < (num_test + num_valid)[users]) & ~in_test, in_test


def divide(name: str, interactions: Interactions, in_valid: np.ndarray, in_test: np.ndarray, seed: int) -> Split:
    """The split whose parts are told by masks [num_interactions], with evaluation negatives from `seed`.

    Raises:
      InputError: a user with a held-out item has seen so much that 100 negatives cannot be drawn.
    """
    users = interactions.users
    valid, test = (HeldOut.of_pairs(users[mask], interactions.items[mask]) for mask in (in_valid, in_test))
    return with_drawn_negatives(Split(name, interactions.keep(~(in_valid | in_test)), valid, test), interactions, seed)


def with_drawn_negatives(split: Split, interactions: Interactions, seed: int) -> Split:
    """The split with the evaluation negatives that `draw_negatives` draws for whoever has anything held out.

    Args:
      split: without negatives.
      interactions: all that users have, in whatever part.
      seed: of the draws.
    """
    evaluated = np.union1d(split.valid.users, split.test.users)
    drawn = draw_negatives(interactions, NUM_EVALUATION_NEGATIVES, seed, evaluated)

    def of(part: HeldOut) -> HeldOut:  # whose rows are shared where all users are evaluated
        same = len(part.users) == len(evaluated)
        return part.with_negatives(drawn if same else drawn[np.searchsorted(evaluated, part.users)])

    return replace(split, valid=of(split.valid), test=of(split.test))


def draw_negatives(interactions: Interactions, count: int, seed: int, users: np.ndarray | None = None) -> np.ndarray:
    """Draws for each user `count` different items that the user has not, uniformly.

    Args:
      interactions: what users have.
      count: items a user.
      seed: of the draws.
      users: [n] for whom to draw, ascending; None: for all.

    Returns:
      [n, count] int32.

    Raises:
      InputError: one of the users has fewer than `count` items left.
    """
    users = np.arange(interactions.num_users) if users is None else users
    left = (interactions.num_items - interactions.counts)[users]
    if (left < count).any():
        row = int(np.argmin(left))
        raise too_few_left(interactions.user_ids[users[row]], left[row], interactions.num_items, count)
    rng = negatives_draws(seed)
    negatives = np.empty((len(users), count), np.int32)
    for row, user in enumerate(users.tolist()):
        negatives[row] = unobserved_at(draw_ranks(rng, left[row], count), interactions.of(user))
    return negatives


def too_few_left(user: object, left: int, num_items: int, count: int) -> InputError:
    """The error for a user of whom fewer than `count` items are unobserved."""
    return InputError(
        f"user {user} has {left} unobserved item(s) of {num_items}, fewer than the {count} that evaluation ranks "
        "against",
        remedy="Leave such users out, or lower `min_item_users` for a larger catalogue.",
    )


def negatives_draws(seed: int) -> np.random.Generator:
    """What draws the ranks of the evaluation negatives, user after user."""
    return np.random.default_rng([seed, 1])


def draw_ranks(rng: np.random.Generator, left: int, count: int) -> np.ndarray:
    """[count] different ranks below `left`."""
    return rng.choice(left, count, replace=False, shuffle=False)


def unobserved_at(ranks: np.ndarray, items: np.ndarray) -> np.ndarray:
    """The unobserved items, ascending, that have these ranks [n] among those that are not in `items`."""
    ranks, seen = np.sort(ranks), np.sort(items)
    # The r-th unobserved item is r plus the number of observed items before it.
    return ranks + np.searchsorted(seen - np.arange(len(seen)), ranks, side="right")
