"""Planted false negatives, and what the indicators H and G say of them in training (paper, section 4.6, Figure 5)."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf
from scipy import stats

from gdns_tf.runs.callbacks import Callback, RunView, Validation
from pipelines.atomic import whole
from pipelines.split import Split, draw_negatives

BINS = 50
COMMON_A_USER = 30
"""Unobserved items of each user that the false negatives are compared with."""
INDICATORS = ("H", "G", "score")


def move_positives(dataset: Split, seed: int) -> Split:
    """Takes one random training item of each user out of training, where it then counts as unobserved.

    Users with a single training item keep it. Validation and test stay as they are.

    Returns:
      The data set with the moved items as its `false_negatives`.
    """
    train = dataset.train
    moves = train.counts > 1
    pick = train.offsets[:-1] + np.random.default_rng([seed, 7]).integers(train.counts)
    moved = np.zeros(train.num_interactions, bool)
    moved[pick[moves]] = True
    offsets = np.concatenate([[0], np.cumsum(moves)])
    return replace(dataset, train=train.keep(~moved), false_negatives=(offsets, train.items[moved]))


class Watch(Callback):
    """At each validation, compares H and G of the planted false negatives with those of common unobserved items.

    Only pairs that training has chosen as negatives by then have an H and a G of their own, so only they count. The
    held-out items are in neither group. Writes `indicators.npz` into the folder of the run: see `read`.
    """

    def __init__(self, dataset: Split, folder: Path) -> None:
        self._path = folder / "indicators.npz"
        offsets, items = dataset.false_negatives
        self._false_users = np.repeat(np.arange(dataset.train.num_users), np.diff(offsets))
        self._false_items = items
        common = draw_negatives(dataset.train, COMMON_A_USER, seed=0)
        liked = (self._false_users, items), dataset.valid.pairs, dataset.test.pairs
        num_items = dataset.train.num_items
        keys = np.concatenate([users.astype(np.int64) * num_items + of_users for users, of_users in liked])
        self._common_users = np.repeat(np.arange(dataset.train.num_users), COMMON_A_USER)
        self._common_items = common.ravel()
        keep = ~np.isin(self._common_users * num_items + self._common_items, keys)
        self._common_users, self._common_items = self._common_users[keep], self._common_items[keep]

    def on_validation(self, run: RunView, validation: Validation) -> None:
        false, false_users = self._look(run, self._false_users, self._false_items)
        common, common_users = self._look(run, self._common_users, self._common_items)
        row = {"epoch": validation.epoch, "visited": len(false_users) / len(self._false_users)}
        for name in INDICATORS:
            row[f"auc_{name}"] = auc(false[name], common[name])
            row[f"auc_within_{name}"] = auc_within(false[name], false_users, common[name], common_users)
        for name in ("H", "G"):
            for group, values in (("false", false), ("common", common)):
                row[f"histogram_{name}_{group}"] = np.histogram(values[name], BINS, (0, 1))[0]
                row[f"mean_{name}_{group}"] = values[name].mean() if len(values[name]) else np.nan
        self._append(row)

    def _look(self, run: RunView, users: np.ndarray, items: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """H, G and score of those of some pairs that have been visited, and their users."""
        table, scorer = run.trainer.sampler.table, run.trainer.scorer
        pairs = tf.constant(users, tf.int32), tf.constant(items, tf.int32)[:, None]
        cells = table.read(*pairs)[:, 0].numpy()
        score = scorer.scores(scorer.queries(pairs[0]), pairs[1])[:, 0].numpy()
        visited = (cells != 1).any(axis=1)
        return {"H": cells[visited, 0], "G": cells[visited, 1], "score": score[visited]}, users[visited]

    def _append(self, row: Mapping[str, object]) -> None:
        former = read(self._path) if self._path.exists() else {}
        if former:  # a resumed run does some epochs again
            keep = former["epoch"] < row["epoch"]
            former = {name: values[keep] for name, values in former.items()}
        rows = {
            name: np.concatenate([former[name], [value]]) if former else np.array([value])
            for name, value in row.items()
        }
        with whole(self._path) as unfinished:
            np.savez_compressed(unfinished, **rows)


def read(path: Path) -> dict[str, np.ndarray]:
    """What `Watch` wrote: a value for each validation.

    "epoch"; "visited", the share of false negatives that have been chosen so far; "auc_X", how often X (H, G or the
    model's score) of a false negative exceeds that of a common item; "auc_within_X", the same within users;
    "histogram_X_false" and "histogram_X_common" [BINS] counts over [0, 1]; "mean_X_false" and "mean_X_common".
    """
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The chance that a random positive exceeds a random negative, ties counting half; NaN where either is empty."""
    if not len(positive) or not len(negative):
        return float("nan")
    ranks = stats.rankdata(np.concatenate([positive, negative]))[: len(positive)]
    return float((ranks.mean() - (len(positive) + 1) / 2) / len(negative))


def auc_within(
    positive: np.ndarray, positive_users: np.ndarray, negative: np.ndarray, negative_users: np.ndarray
) -> float:
    """The mean over positives of the share of their user's negatives that they exceed, ties counting half.

    Each user has at most one positive; users that lack either do not count.
    """
    of_user = np.full(max(positive_users.max(initial=-1), negative_users.max(initial=-1)) + 1, np.nan)
    of_user[positive_users] = positive
    mine = of_user[negative_users]
    known = ~np.isnan(mine)
    wins = (mine > negative)[known] + 0.5 * (mine == negative)[known]
    counts = np.bincount(negative_users[known])
    shares = np.bincount(negative_users[known], wins)[counts > 0] / counts[counts > 0]
    return float(shares.mean()) if len(shares) else float("nan")
