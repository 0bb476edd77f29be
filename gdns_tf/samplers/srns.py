"""SRNS (Ding et al., NeurIPS 2020, Simplify and Robustify Negative Sampling for Implicit Collaborative Filtering)."""

from dataclasses import dataclass
from typing import Self

import tensorflow as tf

from gdns_tf.models import stateless
from gdns_tf.models.scorer import ITEM_FACTORS, Scorer
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import (
    CHOOSES_BY_SCORE,
    LARGEST_NUM_CANDIDATES,
    Batch,
    Sampler,
    SamplerConfig,
    Scored,
    Selection,
)
from gdns_tf.samplers.scatter import write_rows
from pipelines.config import flag
from pipelines.errors import require

HISTORY = 5
"""Past epochs that the standard deviation is taken over."""


@dataclass(frozen=True)
class SrnsConfig(SamplerConfig):
    """Settings of `Srns`."""

    memory_size: int = flag(
        0,
        "Items that each user's memory holds; 0: as many as there are candidates.",
        at_least=0,
        at_most=LARGEST_NUM_CANDIDATES,
    )
    temperature: float = flag(1.0, "Of the softmax over candidates.", at_least=1e-6, at_most=1e6)
    deviation_weight: float = flag(
        1.0, "alpha, weight of the standard deviation beside the score.", at_least=-1e6, at_most=1e6
    )
    warmup_epochs: int = flag(50, "Epochs over which that weight rises to its full value.", at_least=0)


class Srns(Sampler):
    """Prefers high-scored items of a memory whose scores vary: false negatives score high and steadily.

    Each user has a memory of items. The negatives are those of it with the highest
    sigmoid(r_uj - r_u) + alpha_t std_uj (Eq. 4), r_u being the mean score of the positive group, std_uj the deviation
    of that sigmoid over the last five epochs, and alpha_t rising to `deviation_weight` over `warmup_epochs`. Then the
    memory takes in the fresh candidates: of both together it keeps as many as it holds, drawn without replacement with
    probability in proportion to exp(score / temperature) (Eq. 3).

    The authors' code follows the scores of a random set of items a user, another in each epoch, from which alone the
    memory is filled. Here the
    factors at the end of the last five epochs are kept instead: less memory, any item, and exact for newcomers too.

    It needs scores that mean something, see `defaults`; its epochs are counted from when it sets in.
    """

    config_class = SrnsConfig
    splits_users = True
    defaults = CHOOSES_BY_SCORE
    requires = frozenset({ITEM_FACTORS})
    revision = 2  # the past models score the positives of the step

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int,
        steps: int,
        *,
        first_user: int = 0,
        memory_size: int = 64,
        deviation_weight: float = 1.0,
        warmup_epochs: int = 50,
        temperature: float = 1.0,
        compiled: bool = False,
    ) -> None:
        """Args:
        num_users: that have a memory.
        num_items, dim: of the model.
        steps: in an epoch.
        first_user: the first that has a memory.
        memory_size: items that a user's memory holds.
        deviation_weight: alpha.
        warmup_epochs: until the deviation has its full weight.
        temperature: of the memory's update.
        compiled: whether under XLA.
        """
        super().__init__(name="srns")
        self._steps, self._first_user, self._compiled = steps, first_user, compiled
        self._deviation_weight, self._warmup, self._temperature = deviation_weight, warmup_epochs, temperature
        self.memory = tf.Variable(tf.fill([num_users, memory_size], -1), trainable=False, name="memory")
        # Epoch e is at place e % HISTORY.
        self.past_queries = tf.Variable(tf.zeros([HISTORY, num_users, dim]), trainable=False, name="past_queries")
        self.past_items = tf.Variable(tf.zeros([HISTORY, num_items, dim]), trainable=False, name="past_items")

    @classmethod
    def _size(cls, config: SrnsConfig, num_candidates: int) -> int:
        return config.memory_size or num_candidates

    @classmethod
    def check_sizes(cls, config: SrnsConfig, group_size: int, num_candidates: int) -> None:
        rule = f"must be at least `group_size`={group_size}, for the negatives are chosen from it, or 0"
        require(cls._size(config, num_candidates) >= group_size, "memory_size", config.memory_size, rule)

    @classmethod
    def bytes_held(cls, config: SrnsConfig, setup: Setup) -> int:
        """The memories, and the models of past epochs."""
        users, items = setup.own.size, setup.train.num_items
        return 4 * users * cls._size(config, setup.num_candidates) + 4 * HISTORY * (users + items) * setup.dim

    @classmethod
    def build(cls, config: SrnsConfig, setup: Setup) -> Self:
        return cls(
            setup.own.size,
            setup.train.num_items,
            setup.dim,
            setup.steps_per_epoch,
            first_user=setup.own.first,
            memory_size=cls._size(config, setup.num_candidates),
            deviation_weight=config.deviation_weight,
            warmup_epochs=config.warmup_epochs,
            temperature=config.temperature,
            compiled=setup.compiled,
        )

    @classmethod
    def num_candidates(cls, config: SrnsConfig, setup: Setup) -> int:
        return max(setup.num_candidates, config.memory_size)  # the first visit fills the memory

    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        memory = tf.gather(self.memory, batch.rows)
        memory = tf.where(memory < 0, batch.candidates[:, : memory.shape[1]], memory)
        queries = scorer.queries(batch.users)
        scores = scorer.scores(queries, memory)
        positive = tf.reduce_mean(scorer.scores(queries, batch.positives), axis=1)
        epoch = tf.cast(batch.step // self._steps, tf.float32)
        alpha = self._deviation_weight * tf.minimum(1.0, epoch / max(self._warmup, 1))
        value = tf.sigmoid(scores - positive[:, None]) + alpha * self._deviation(batch, memory)
        chosen = tf.math.top_k(value, batch.group_size, sorted=False).indices
        return Selection(tf.gather(memory, chosen, batch_dims=1), (memory, scores))

    def _deviation(self, batch: Batch, items: tf.Tensor) -> tf.Tensor:
        """Standard deviation of sigmoid(r_uj - r_u) over the past epochs that there are: [batch, n].

        r_u is of the positives of this step in each epoch: what varies is the model and not which positives were drawn.
        """
        queries = tf.gather(self.past_queries, batch.rows, axis=1)
        past = []
        for place in range(HISTORY):
            factors = tf.gather(self.past_items[place], items)
            positive = tf.reduce_mean(tf.gather(self.past_items[place], batch.positives), axis=1)
            beyond = factors - positive[:, None, :]
            differences = tf.matmul(queries[place][:, None, :], beyond, transpose_b=True)[:, 0]  # faster than matvec
            past.append(tf.sigmoid(differences))
        count = tf.cast(tf.minimum(batch.step // self._steps, HISTORY), tf.float32)
        known = tf.cast(tf.range(HISTORY, dtype=tf.float32) < count, tf.float32)[:, None, None]
        past, count = tf.stack(past), tf.maximum(count, 1.0)
        mean = tf.reduce_sum(known * past, axis=0) / count
        return tf.sqrt(tf.reduce_sum(known * tf.square(past - mean), axis=0) / count)

    def update(self, scored: Scored) -> None:
        step = scored.batch.step
        self._remember(scored, *scored.selection.memo)
        place, last = step // self._steps % HISTORY, step % self._steps == self._steps - 1
        tf.cond(last, lambda: self._snapshot(scored.scorer, place), tf.no_op)

    def _remember(self, scored: Scored, memory: tf.Tensor, scores: tf.Tensor) -> None:
        """Draws the memories anew from what they hold and the fresh candidates."""
        batch, scorer = scored.batch, scored.scorer
        candidates = batch.candidates
        fresh = scorer.scores(scorer.queries(batch.users), candidates)
        known = tf.reduce_any(candidates[:, :, None] == memory[:, None, :], axis=2)
        earlier = tf.linalg.band_part(tf.ones([candidates.shape[1]] * 2, tf.bool), -1, 0)
        earlier = tf.linalg.set_diag(earlier, tf.zeros([candidates.shape[1]], tf.bool))
        repeated = known | tf.reduce_any((candidates[:, :, None] == candidates[:, None, :]) & earlier, axis=2)
        pool = tf.concat([memory, candidates], axis=1)
        uniform = stateless.uniform(tf.shape(pool), batch.seed, 1e-20, 1.0)
        # The highest of logits with Gumbel noise are a draw without replacement in proportion to exp(logit).
        keys = tf.concat([scores, fresh], axis=1) / self._temperature - tf.math.log(-tf.math.log(uniform))
        keys = tf.where(tf.pad(repeated, [[0, 0], [memory.shape[1], 0]]), -1e30, keys)
        kept = tf.math.top_k(keys, memory.shape[1], sorted=False).indices
        write_rows(self.memory, batch.rows, tf.gather(pool, kept, batch_dims=1), self._compiled)

    def _snapshot(self, scorer: Scorer, place: tf.Tensor) -> tf.Operation:
        users = self._first_user + tf.range(self.past_queries.shape[1])
        for past, values in ((self.past_queries, scorer.queries(users)), (self.past_items, scorer.item_factors)):
            past.assign(tf.tensor_scatter_nd_update(past, [[place]], values[None]))
        return tf.no_op()

    def diagnostics(self, batch: Batch) -> dict[str, tf.Tensor]:
        memory = tf.gather(self.memory, batch.rows)
        filled = tf.maximum(memory, 0)
        return {"deviation": tf.reduce_mean(self._deviation(batch, filled))}
