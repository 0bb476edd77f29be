"""ENMF (Chen et al., TOIS 2020, Efficient Neural Matrix Factorization without Sampling for Recommendation)."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import tensorflow as tf

from gdns_tf.models.histories import Histories, pair_scores
from gdns_tf.models.losses import RankingLoss
from gdns_tf.models.scorer import ITEM_FACTORS
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import SamplerConfig, Scored
from gdns_tf.samplers.uniform import Uniform
from pipelines.config import flag


@dataclass(frozen=True)
class EnmfConfig(SamplerConfig):
    """Settings of `Enmf`."""

    negative_weight: float = flag(0.3, "Weight of an unobserved pair; an observed one has 1.", at_least=0, at_most=1e6)


class Enmf(Uniform):
    """No sampling: the weighted squared error over all items of each user, in closed form (their Eq. 12).

    An observed pair should score 1 and weighs 1, any other should score 0 and weighs c0. Of a user u with query q,

      sum over observed i of [(1 - c0) r_ui^2 - 2 r_ui]  +  c0 q^T (Q^T Q) q,

    but for a constant, which takes time in proportion to the observed items only. `loss`, `pairing` and `margin` play
    no part; `l2` acts on the drawn positives and on as many uniform items as beside a ranking loss. That counts N x N
    pairs, of which this loss has none: where users have fewer items than that, the strength that suits pairs leaves all
    factors at zero. So there is none unasked; the many zeros to be met regularise.
    """

    config_class = EnmfConfig
    defaults = MappingProxyType({"l2": 0.0})
    requires = frozenset({ITEM_FACTORS})
    compiles = False  # XLA has no sums over lists of varying length

    def __init__(self, histories: Histories, negative_weight: float = 0.3) -> None:
        """Args:
        histories: what users have.
        negative_weight: c0.
        """
        super().__init__(name="enmf")
        self._histories = histories
        self._negative_weight = negative_weight

    @classmethod
    def build(cls, config: EnmfConfig, setup: Setup) -> Self:
        return cls(setup.histories, config.negative_weight)

    def losses(self, scored: Scored, ranking_loss: RankingLoss) -> tf.Tensor:
        queries, Q, c0 = scored.queries, scored.scorer.item_factors, self._negative_weight
        row_of, items = self._histories.of(scored.batch.users)
        scores = pair_scores(queries, Q, row_of, items)
        observed = tf.math.segment_sum((1 - c0) * tf.square(scores) - 2 * scores, row_of)
        gram = tf.matmul(Q, Q, transpose_a=True)
        return observed + c0 * tf.reduce_sum(tf.matmul(queries, gram) * queries, axis=1)
