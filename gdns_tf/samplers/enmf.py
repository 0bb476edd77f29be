"""ENMF (Chen et al., TOIS 2020, Efficient Neural Matrix Factorization without Sampling for Recommendation)."""

from dataclasses import dataclass
from typing import Self

import tensorflow as tf

from gdns_tf.models.histories import Histories
from gdns_tf.models.inner_products import sum_pairs_by_item
from gdns_tf.models.losses import RankingLoss
from gdns_tf.models.scorer import ITEM_FACTORS
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import SamplerConfig, Scored
from gdns_tf.samplers.uniform import Uniform
from pipelines.config import flag
from pipelines.errors import require, require_not_negative
from pipelines.interactions import Interactions


@dataclass(frozen=True)
class EnmfConfig(SamplerConfig):
    """Settings of `Enmf`."""

    negative_weight: float = flag(0.3, "Weight of an unobserved pair; an observed one has 1.")

    def check(self) -> None:
        require_not_negative(self, "negative_weight")


class Enmf(Uniform):
    """No sampling: the weighted squared error over all items of each user, in closed form (their Eq. 12).

    An observed pair should score 1 and weighs 1, any other should score 0 and weighs c0. Of a user u with query q,

      sum over observed i of [(1 - c0) r_ui^2 - 2 r_ui]  +  c0 q^T (Q^T Q) q,

    but for a constant, which takes time in proportion to the observed items only. `loss`, `pairing` and `margin` play
    no part; `l2` acts on the drawn positives and on as many uniform items as beside a ranking loss.
    """

    config_class = EnmfConfig
    requires = frozenset({ITEM_FACTORS})

    def __init__(self, train: Interactions, negative_weight: float = 0.3) -> None:
        """Args:
        train: the interactions.
        negative_weight: c0.
        """
        super().__init__(name="enmf")
        self._histories = Histories(train)
        self._negative_weight = negative_weight

    @classmethod
    def build(cls, config: EnmfConfig, setup: Setup) -> Self:
        """Raises InputError for a step compiled by XLA, which has no sums over lists of varying length."""
        require(not setup.compiled, "jit_compile", setup.compiled, "does not go with `sampler`=enmf")
        return cls(setup.train, config.negative_weight)

    def losses(self, scored: Scored, ranking_loss: RankingLoss) -> tf.Tensor:
        queries, Q, c0 = scored.queries, scored.scorer.item_factors, self._negative_weight
        row_of, items = self._histories.of(scored.batch.users)
        scores = _pair_scores(queries, Q, row_of, items)
        observed = tf.math.segment_sum((1 - c0) * tf.square(scores) - 2 * scores, row_of)
        gram = tf.matmul(Q, Q, transpose_a=True)
        return observed + c0 * tf.reduce_sum(tf.matmul(queries, gram) * queries, axis=1)


def _pair_scores(queries: tf.Tensor, table: tf.Variable, row_of: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
    """Inner products of listed pairs: [n]; their gradient builds no sparse rows, see `inner_products`."""

    @tf.custom_gradient
    def forward(queries: tf.Tensor, values: tf.Tensor) -> tuple:
        factors = tf.gather(values, items)

        def backward(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_queries = tf.math.segment_sum(upstream[:, None] * factors, row_of)
            return of_queries, sum_pairs_by_item(items, row_of, upstream, queries, values.shape[0])

        return tf.reduce_sum(tf.gather(queries, row_of) * factors, axis=1), backward

    return forward(queries, tf.convert_to_tensor(table))
