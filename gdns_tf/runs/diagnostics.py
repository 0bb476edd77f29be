"""What a sampler's choices teach the model: how many are still informative, and how many are false negatives."""

from dataclasses import replace

import numpy as np
import tensorflow as tf

from gdns_tf.runs.callbacks import Callback, RunView, Validation
from gdns_tf.training.build import build_batches
from pipelines.split import Split


class FalseNegatives:
    """The unobserved items that users are known to like: see `Split.known_false_negatives`."""

    def __init__(self, split: Split) -> None:
        self._num_items = split.train.num_items
        users, items = split.known_false_negatives()
        self._keys = np.unique(users.astype(np.int64) * self._num_items + items)

    def share(self, users: np.ndarray, items: np.ndarray) -> float:
        """The share of `items` [batch, n] that their `users` [batch] are known to like."""
        keys = users.astype(np.int64)[:, None] * self._num_items + items
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return float((self._keys[at] == keys).mean())


class Diagnostics(Callback):
    """Looks at the choices of a run's sampler without training on them."""

    HISTOGRAM_EVERY = 10
    """Validations between histograms."""

    def __init__(self) -> None:
        self._calls = 0

    def on_start(self, run: RunView) -> None:
        self._trainer = run.trainer
        self._false_negatives = FalseNegatives(run.split)
        # Batches of a stream of its own: looking at the sampler must not change what it is trained on.
        share, *_ = run.replicas.shares(run.split.train.num_users)
        batches = build_batches(run.split.train, replace(run.config, seed=run.config.seed + 1), share=share)
        self._batches = iter(batches.skip(run.epoch // run.config.eval_every))

    def on_validation(self, run: RunView, validation: Validation) -> None:
        batch = next(self._batches)
        validation.diagnostics.update(self.of(batch))
        if self._calls % self.HISTOGRAM_EVERY == 0:
            validation.histograms.update(self._trainer.sampler.distributions(batch["users"][:256]))
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
        scores = [trainer.scorer.scores(queries, items) for items in (seen.positives, negatives)]
        return negatives, trainer.sampler.diagnostics(seen) | trainer.diagnostics(*scores)
