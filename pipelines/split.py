"""Leave-one-out split and fixed evaluation negatives (paper, sections 4.1 and 4.3)."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from pipelines.errors import InputError
from pipelines.interactions import Interactions

NUM_EVALUATION_NEGATIVES = 100


@dataclass(frozen=True)
class Split:
    """A split data set: what training sees, and what evaluation asks."""

    name: str
    train: Interactions
    valid: np.ndarray
    """[num_users] int32: each user's validation item."""
    test: np.ndarray
    """[num_users] int32: each user's test item."""
    valid_negatives: np.ndarray
    """[num_users, 100] int32: the items that the validation item is ranked against."""
    test_negatives: np.ndarray
    """[num_users, 100] int32: likewise for test."""
    false_negatives: tuple[np.ndarray, np.ndarray] | None = None
    """Where known: CSR (offsets, items) of the unobserved items that each user would in truth like."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any interaction, held-out item, evaluation negative or id."""
        digest = hashlib.sha256()
        for part in (self.train.offsets, self.train.items, self.valid, self.test):
            digest.update(np.ascontiguousarray(part, np.int64))
        for part in (self.valid_negatives, self.test_negatives):
            digest.update(np.ascontiguousarray(part, np.int32))
        for ids in (self.train.user_ids, self.train.item_ids):
            digest.update("".join(f"{raw_id}\0" for raw_id in ids.tolist()).encode())
        return digest.hexdigest()[:16]

    @property
    def cold_held_out(self) -> tuple[int, int]:
        """How many validation and test items no user has in training: their factors are never learnt."""
        seen = np.bincount(self.train.items, minlength=self.train.num_items) > 0
        return int((~seen[self.valid]).sum()), int((~seen[self.test]).sum())

    def known_false_negatives(self) -> tuple[np.ndarray, np.ndarray]:
        """The pairs that training may draw as negatives and that are known to be liked.

        Where the data set knows them these are its `false_negatives`; elsewhere the held-out items.

        Returns:
          [n] users and [n] items.
        """
        users = np.arange(self.train.num_users)
        if self.false_negatives is not None:
            offsets, items = self.false_negatives
            return np.repeat(users, np.diff(offsets)), items
        return np.tile(users, 2), np.concatenate([self.valid, self.test])

    def all_interactions(self) -> Interactions:
        """Training, validation and test: all that a user is known to have seen; without times."""
        train = self.train
        added = np.repeat(train.offsets[1:], 2)  # both go to the end of their user's row
        held_out = np.stack([self.valid, self.test], axis=1).reshape(-1)
        return replace(
            train,
            offsets=train.offsets + 2 * np.arange(train.num_users + 1),
            items=np.insert(train.items, added, held_out),
            timestamps=None,
        )

    def statistics(self) -> dict[str, int]:
        """The rows of the paper's Table 2."""
        return {
            "#User": self.train.num_users,
            "#Item": self.train.num_items,
            "#Train": self.train.num_interactions,
            "#Valid": len(self.valid),
            "#Test": len(self.test),
        }


def leave_one_out(name: str, interactions: Interactions, seed: int) -> Split:
    """Holds out each user's latest item for test and the one before for validation.

    Ties in time go to the earlier row of the source, which reproduces SRNS's published split of MovieLens-1M. Where
    there are no timestamps the two are drawn at random from `seed`.

    Raises:
      InputError: a user has fewer than three items, or has seen so much that 100 negatives cannot be drawn.
    """
    counts = interactions.counts
    if (short := np.flatnonzero(counts < 3)).size:
        raise InputError(
            f"user {interactions.user_ids[short[0]]} has {counts[short[0]]} item(s), and {short.size - 1} other users "
            "have fewer than three; validation, test and training need one each",
            remedy="Set `min_user_items` to 3 or more.",
        )
    users = interactions.users
    if interactions.timestamps is None:
        recency = np.random.default_rng([seed, 0]).random(interactions.num_interactions)
    else:
        recency = interactions.timestamps
    latest_first = np.lexsort((-recency, users))  # stable: ties stay in the order of the source
    test_row = latest_first[interactions.offsets[:-1]]
    valid_row = latest_first[interactions.offsets[:-1] + 1]
    in_train = np.ones(interactions.num_interactions, bool)
    in_train[test_row] = in_train[valid_row] = False
    negatives = draw_negatives(interactions, NUM_EVALUATION_NEGATIVES, seed)
    return Split(
        name=name,
        train=interactions.keep(in_train),
        valid=interactions.items[valid_row],
        test=interactions.items[test_row],
        valid_negatives=negatives,
        test_negatives=negatives,
    )


def draw_negatives(interactions: Interactions, count: int, seed: int) -> np.ndarray:
    """Draws for each user `count` different items that the user has not, uniformly.

    Returns:
      [num_users, count] int32.

    Raises:
      InputError: a user has fewer than `count` items left.
    """
    left = interactions.num_items - interactions.counts
    if (left < count).any():
        user = int(np.argmin(left))
        raise InputError(
            f"user {interactions.user_ids[user]} has {left[user]} unobserved item(s) of {interactions.num_items}, "
            f"fewer than the {count} that evaluation ranks against",
            remedy="Leave such users out, or lower `min_item_users` for a larger catalogue.",
        )
    rng = np.random.default_rng([seed, 1])
    negatives = np.empty((interactions.num_users, count), np.int32)
    for user in range(interactions.num_users):
        rank = np.sort(rng.choice(left[user], count, replace=False, shuffle=False))
        seen = np.sort(interactions.of(user))
        # The r-th unobserved item is r plus the number of observed items before it.
        negatives[user] = rank + np.searchsorted(seen - np.arange(len(seen)), rank, side="right")
    return negatives
