"""Adaptive hardness (Lai et al., AAAI 2024, Adaptive Hardness Negative Sampling for Collaborative Filtering)."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import tensorflow as tf

from gdns_tf.models.scorer import Scorer
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import CHOOSES_BY_SCORE, Batch, Sampler, SamplerConfig, Selection
from pipelines.config import flag
from pipelines.errors import require_above_0

SMALLEST_BASE = 1e-6


@dataclass(frozen=True)
class AhnsConfig(SamplerConfig):
    """Settings of `Ahns`."""

    ahns_alpha: float = flag(1.0, "Added to the positive's score before the power.")
    ahns_beta: float = flag(0.1, "Factor of the hardness.")
    ahns_power: float = flag(-2.0, "p; the more negative, the easier the negatives of high-scored positives.")

    def check(self) -> None:
        require_above_0(self, "ahns_beta")


class Ahns(Sampler):
    """For each positive the candidate whose score is nearest to what the positive's score asks for.

    That is the j with the least |r_uj - beta (r_ui + alpha)^(p + 1)|: with p < -1, the higher the positive's score, the
    easier its negative. The candidates are the user's, so positives of like scores may get the same one. The k-th
    negative belongs to the k-th positive, and with `pairing`=pair they meet in the loss as in the paper.

    Where r_ui + alpha is not above 0, a power of it is no number, or for the whole p + 1 of the authors' code one of
    changing sign; here the base is then taken to be just above 0, which with p < -1 asks for the hardest candidate.

    Where all scores are near 0, as at the start, every positive asks for the hardest: it needs scores that mean
    something, see `defaults`. The paper's pairing and loss are brought too: with all pairs and a hinge it fell below
    popularity on MovieLens-1M.
    """

    config_class = AhnsConfig
    defaults = MappingProxyType({**CHOOSES_BY_SCORE, "pairing": "pair", "loss": "softplus"})

    def __init__(self, *, alpha: float = 1.0, beta: float = 0.1, power: float = -2.0) -> None:
        """Args:
        alpha, beta, power: alpha, beta and p above.
        """
        super().__init__(name="ahns")
        self._alpha, self._beta, self._power = alpha, beta, power

    @classmethod
    def build(cls, config: AhnsConfig, setup: Setup) -> Self:
        return cls(alpha=config.ahns_alpha, beta=config.ahns_beta, power=config.ahns_power)

    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        queries = scorer.queries(batch.users)
        positives, candidates = scorer.scores(queries, batch.positives), scorer.scores(queries, batch.candidates)
        wanted = self._beta * tf.maximum(positives + self._alpha, SMALLEST_BASE) ** (self._power + 1)
        # Beyond all candidates, float32 might not tell them apart, or the power be infinite.
        lowest, highest = tf.reduce_min(candidates, 1, keepdims=True), tf.reduce_max(candidates, 1, keepdims=True)
        wanted = tf.clip_by_value(wanted, lowest, highest)
        nearest = tf.argmin(tf.abs(candidates[:, None, :] - wanted[:, :, None]), axis=2, output_type=tf.int32)
        return Selection(tf.gather(batch.candidates, nearest, batch_dims=1))
