"""AOBPR: negatives that rank high by a factor that matters to the user (Rendle & Freudenthaler, WSDM 2014).

Improving Pairwise Learning for Item Recommendation from Implicit Feedback; its sampler for matrix factorisation.
"""

import math
from dataclasses import dataclass
from typing import Self

import tensorflow as tf

from gdns_tf.models import stateless
from gdns_tf.models.scorer import ITEM_FACTORS, Scorer
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import Batch, Sampler, SamplerConfig, Scored, Selection
from pipelines.config import flag
from pipelines.interactions import Interactions
from pipelines.observed import Observed

PROPOSALS = 3
STEPS_BETWEEN_SORTS = 8


@dataclass(frozen=True)
class AobprConfig(SamplerConfig):
    """Settings of `Aobpr`."""

    rank_scale: float = flag(0.1, "Mean rank of the geometric draw, as a share of the items.", above=0, at_most=1000)


class Aobpr(Sampler):
    """Draws a factor that matters to the user, then an item that ranks high by that factor.

    For each negative, independently: a factor f with probability in proportion to |q_uf| sigma_f, where q_u = p_u * w
    is the user's query and sigma_f the standard deviation of factor f over the items; then a rank r in 0 .. m - 1 with
    probability in proportion to exp(-r / lambda); then the item with the r-th highest f-th factor, or the r-th lowest
    where q_uf is negative. Up to three ranks are drawn until the item is unobserved; where s is the probability of an
    observed item by factor f, a uniformly drawn item comes instead with probability s^3.

    The items' order by each factor, and sigma, are taken anew every m ln m draws, as in the paper, which makes their
    cost a draw independent of m, but not in every step where a few steps draw more than that.
    """

    config_class = AobprConfig
    splits_users = True  # the orders follow from the model: each replica sorts for itself, and all the same
    requires = frozenset({ITEM_FACTORS})

    def __init__(self, train: Interactions, dim: int, *, mean_rank: float, steps_between_sorts: int, seed: int) -> None:
        """Args:
        train: the interactions that count as observed.
        dim: factors of the scorer.
        mean_rank: lambda.
        steps_between_sorts: after how many steps the orders are taken anew.
        seed: of the orders before there are any.
        """
        super().__init__(name="aobpr")
        self._num_items, self._mean_rank, self._steps_between_sorts = train.num_items, mean_rank, steps_between_sorts
        self._observed = Observed(train)
        noise = tf.random.stateless_uniform([dim, train.num_items], [seed, 0xA0B])
        self.orders = tf.Variable(tf.argsort(noise), trainable=False, name="orders")
        self.spreads = tf.Variable(tf.ones([dim]), trainable=False, name="spreads")

    @classmethod
    def build(cls, config: AobprConfig, setup: Setup) -> Self:
        train, draws_per_step = setup.train, setup.group_size * setup.users_a_step
        return cls(
            train,
            setup.dim,
            mean_rank=config.rank_scale * train.num_items,
            steps_between_sorts=max(
                STEPS_BETWEEN_SORTS, math.ceil(train.num_items * math.log(train.num_items) / draws_per_step)
            ),
            seed=setup.seed,
        )

    @classmethod
    def num_candidates(cls, config: SamplerConfig, setup: Setup) -> int:
        """The uniform draws for where every proposal is observed."""
        del config
        return setup.group_size

    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        seeds = tf.unstack(stateless.split(batch.seed, 1 + PROPOSALS))
        queries = scorer.queries(batch.users)
        up_to = tf.cumsum(tf.abs(queries) * self.spreads, axis=1)
        points = up_to[:, -1:] * stateless.uniform(tf.shape(batch.positives), seeds[0])
        factors = tf.minimum(tf.searchsorted(up_to, points, side="right"), queries.shape[1] - 1)
        ascending = tf.gather(queries, factors, batch_dims=1) < 0
        orders = tf.reshape(self.orders, [-1])
        first, step = self._num_items * factors, tf.where(ascending, -1, 1)
        first = tf.where(ascending, first + self._num_items - 1, first)
        negatives = batch.candidates
        for seed in seeds[1:]:
            ranks = self._ranks(stateless.uniform(tf.shape(factors), seed))
            proposals = tf.gather(orders, first + step * ranks)
            negatives = tf.where(self._observed.contains(batch.users, proposals), negatives, proposals)
        return Selection(negatives)

    def _ranks(self, uniform: tf.Tensor) -> tf.Tensor:
        """Ranks 0 .. num_items - 1 of probability in proportion to exp(-rank / mean_rank), from uniform draws."""
        within = -math.expm1(-self._num_items / self._mean_rank)  # of an exponential variable, to be below num_items
        ranks = -self._mean_rank * tf.math.log1p(-within * uniform)
        return tf.cast(tf.minimum(ranks, self._num_items - 1.0), tf.int32)  # it could be rounded up to num_items

    def update(self, scored: Scored) -> None:
        """Sorts the items by each factor, if it is time."""
        is_time = scored.batch.step % self._steps_between_sorts == 0
        tf.cond(is_time, lambda: self._sort(tf.transpose(scored.scorer.item_factors)), tf.no_op)

    def _sort(self, by_factor: tf.Tensor) -> tf.Operation:
        orders = self.orders.assign(tf.argsort(by_factor, direction="DESCENDING"), read_value=False)
        spreads = self.spreads.assign(tf.math.reduce_std(by_factor, axis=1), read_value=False)
        return tf.group(orders, spreads)
