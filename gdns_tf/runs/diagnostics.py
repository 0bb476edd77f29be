"""What a sampler's choices teach the model: how many are still informative, and how many are false negatives."""

import numpy as np
import tensorflow as tf

from gdns_tf.runs.tensorboard import Board
from gdns_tf.training.trainer import Trainer
from pipelines.split import Split


class FalseNegatives:
    """The unobserved items that users are known to like.

    Where the data set knows them (`planted`) these are they; elsewhere the held-out validation and test items, which
    training may draw as negatives like any unobserved item.
    """

    def __init__(self, dataset: Split) -> None:
        self._num_items = dataset.train.num_items
        if dataset.false_negatives is not None:
            offsets, items = dataset.false_negatives
            users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        else:
            users = np.tile(np.arange(dataset.train.num_users), 2)
            items = np.concatenate([dataset.valid, dataset.test])
        self._keys = np.unique(users.astype(np.int64) * self._num_items + items)

    def share(self, users: np.ndarray, items: np.ndarray) -> float:
        """The share of `items` [batch, n] that their `users` [batch] are known to like."""
        keys = users.astype(np.int64)[:, None] * self._num_items + items
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return float((self._keys[at] == keys).mean())


class Signals:
    """Looks at the choices of a trainer's sampler without training on them."""

    HISTOGRAM_EVERY = 10
    """Calls of `write` between histograms."""

    def __init__(self, trainer: Trainer, false_negatives: FalseNegatives, batches: tf.data.Dataset) -> None:
        """Args:
        trainer: whose sampler to look at.
        false_negatives: the known ones.
        batches: of `pipelines.batches.user_batches`; a call of `write` looks at the next.
        """
        self._trainer = trainer
        self._false_negatives = false_negatives
        self._batches = iter(batches)
        self._calls = 0

    def write(self, board: Board, epoch: int) -> None:
        """Writes the signals as scalars, and now and then histograms of H and G."""
        batch = next(self._batches)
        board.scalars("sampler", self.of(batch), epoch)
        if self._calls % self.HISTOGRAM_EVERY == 0:
            for name, values in self._trainer.sampler.distributions(batch["users"][:256]).items():
                board.histogram(f"sampler/{name}", values, epoch)
        self._calls += 1

    def of(self, batch: dict[str, tf.Tensor]) -> dict[str, float]:
        """Scalars by name."""
        negatives, scalars = self._look(batch)
        users, candidates = batch["users"].numpy(), batch["candidates"].numpy()
        return {name: float(value) for name, value in scalars.items()} | {
            "false_negatives_among_chosen": self._false_negatives.share(users, negatives.numpy()),
            "false_negatives_among_candidates": self._false_negatives.share(users, candidates),
        }

    @tf.function
    def _look(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        trainer, seen = self._trainer, self._trainer.batch(batch)
        negatives = trainer.sampler.select(seen, trainer.scorer).negatives
        queries = trainer.scorer.queries(seen.users)
        shortfall = trainer.ranking_loss.shortfall(
            trainer.scorer.scores(queries, seen.positives), trainer.scorer.scores(queries, negatives)
        )
        scalars = trainer.sampler.signals(seen)
        return negatives, scalars | {"active_pairs": tf.reduce_mean(tf.cast(shortfall > 0, tf.float32))}
