"""What a sampler's choices teach the model: how many are still informative, and how many are false negatives."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from gdns_tf.runs.callbacks import Callback, RunView, Validation
from gdns_tf.training.build import build_batches
from gdns_tf.training.conversion import needs_autograph
from pipelines.ragged_draws import sorted_pairs
from pipelines.split import Split
from pipelines.streamed import StreamedSplit


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


class FalseNegativesOfBatch:
    """As `FalseNegatives`, of the users of a batch whose records bring along what they are known to like."""

    def __init__(self, batch: dict[str, tf.Tensor], lists: Sequence[str], num_items: int) -> None:
        """Args:
        batch: of `pipelines.streamed_batches.user_batches`.
        lists: the names of its lists that are meant.
        num_items: size of the catalogue.
        """
        self._num_items = num_items
        rows = tf.concat([batch[name] for name in lists], axis=1)
        self._keys = sorted_pairs(rows, num_items).numpy()

    def share(self, _users: np.ndarray, items: np.ndarray) -> float:
        """The share of `items` [batch, n] that the users of the batch are known to like."""
        keys = np.arange(len(items))[:, None] * self._num_items + items
        return float(np.isin(keys, self._keys).mean())


class Diagnostics(Callback):
    """Looks at the choices of a run's sampler without training on them."""

    HISTOGRAM_EVERY = 10
    """Validations between histograms."""

    def __init__(self) -> None:
        self._calls = 0

    def on_start(self, run: RunView) -> None:
        self._trainer = run.trainer
        self._look = tf.function(self._seen, autograph=needs_autograph(run.trainer))
        streamed, self._num_items = isinstance(run.split, StreamedSplit), run.split.train.num_items
        self._false_negatives = None if streamed else FalseNegatives(run.split)
        self._lists = run.split.known_lists if streamed else ()
        # Batches of a stream of its own: looking at the sampler must not change what it is trained on.
        share, *_ = run.replicas.shares(run.split.train)
        config = replace(run.config, seed=run.config.seed + 1)
        batches = build_batches(run.split.train, config, share=share, lists=self._lists)
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
        known = self._false_negatives or FalseNegativesOfBatch(batch, self._lists, self._num_items)
        return {name: float(value) for name, value in scalars.items()} | {
            "false_negatives_among_chosen": known.share(users, negatives.numpy()),
            "false_negatives_among_candidates": known.share(users, candidates),
        }

    def _seen(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        trainer, seen = self._trainer, self._trainer.batch(batch)
        negatives = trainer.sampler.select(seen, trainer.scorer).negatives
        queries = trainer.scorer.queries(seen.users)
        scores = [trainer.scorer.scores(queries, items) for items in (seen.positives, negatives)]
        return negatives, trainer.sampler.diagnostics(seen) | trainer.diagnostics(*scores)
