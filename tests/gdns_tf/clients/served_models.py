"""Exported models of small whole numbers, whose scores float32 holds exactly, and the same by NumPy alone."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gdns_tf.models.factors import Factors
from gdns_tf.serving import export
from pipelines.held_out import HeldOut
from pipelines.interactions import Interactions
from pipelines.split import Split

PADDING = {"int64": -1, "string": ""}


@dataclass(frozen=True)
class Oracle:
    """What a version must answer, by brute force."""

    factors: Factors
    split: Split
    user_ids: list
    item_ids: list
    seen: list
    """For each user the numbers of all of its items."""
    popularity: np.ndarray
    titles: dict
    _rankings: dict = field(default_factory=dict)

    def scores(self, user: object) -> np.ndarray:
        if user not in self.user_ids:
            return self.popularity.astype(np.float32)
        query = self.factors.queries[self.user_ids.index(user)]
        return (self.factors.items * query).sum(axis=1, dtype=np.float64).astype(np.float32)

    def recommend(self, user: object, k: int, exclude_seen=True, exclude=(), restrict_to=()) -> list[tuple]:
        """(item, score) pairs, best first, ties by the order of the items."""
        numbers = {item: number for number, item in enumerate(self.item_ids)}
        out = {numbers[item] for item in exclude if item in numbers}
        if exclude_seen and user in self.user_ids:
            out |= set(self.seen[self.user_ids.index(user)].tolist())
        if len(restrict_to):
            out |= set(range(len(self.item_ids))) - {numbers[item] for item in restrict_to if item in numbers}
        best = itertools.islice((pair for pair in self._ranking(user) if pair[0] not in out), k)
        return [(self.item_ids[item], score) for item, score in best]

    def _ranking(self, user: object) -> list[tuple[int, float]]:
        """(item number, score) of all items, best first."""
        if user not in self._rankings:
            scores = self.scores(user)
            order = sorted(range(len(scores)), key=lambda item: (-scores[item], item))
            self._rankings[user] = [(item, float(scores[item])) for item in order]
        return self._rankings[user]


def export_model(
    export_dir: Path, seed: int, id_type: str = "int64", k: int = 10, num_users=40, num_items=130
) -> Oracle:
    """Writes a version of a random model into `export_dir`."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 15, num_users)
    picks = [rng.choice(num_items, count + 2, replace=False) for count in counts]
    if id_type == "int64":
        user_ids, item_ids = 1000 + rng.permutation(num_users), 5000 + rng.permutation(num_items)
    else:
        user_ids = np.array([f"user {number}" for number in range(num_users)])
        item_ids = np.array([f"Größe/{number},\t'é'" for number in range(num_items)])
    titles = np.array([f"Title {number} – é" for number in range(num_items)])
    train = Interactions(
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        items=np.concatenate([pick[2:] for pick in picks]).astype(np.int32),
        user_ids=user_ids,
        item_ids=item_ids,
        titles=titles,
    )
    negatives = np.zeros((num_users, 100), np.int32)
    held_out = np.array([pick[:2] for pick in picks], np.int32)
    split = Split("random", train, *(HeldOut.one_each(items, negatives) for items in held_out.T))
    users, items = rng.integers(-4, 5, (num_users, 6)), rng.integers(-4, 5, (num_items, 6))
    dimension_weights = rng.choice([0.5, 1.0, 2.0], 6)
    factors = Factors(users * dimension_weights, items, dimension_weights)
    export.export_model(factors, split, export_dir, k=k, export_anyway=True)
    return Oracle(
        factors=factors,
        split=split,
        user_ids=user_ids.tolist(),
        item_ids=item_ids.tolist(),
        seen=picks,
        popularity=np.bincount(train.items, minlength=num_items),
        titles=dict(zip(item_ids.tolist(), titles.tolist(), strict=True)),
    )
