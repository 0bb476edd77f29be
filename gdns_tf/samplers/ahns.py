"""Adaptive hardness (Lai et al., AAAI 2024, Adaptive Hardness Negative Sampling for Collaborative Filtering)."""

from dataclasses import dataclass
from typing import Self

import tensorflow as tf

from gdns_tf.models.scorer import Scorer
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import CHOOSES_BY_SCORE, Batch, Sampler, SamplerConfig, Selection
from pipelines.config import flag

SMALLEST_BASE = 1e-6


@dataclass(frozen=True)
class AhnsConfig(SamplerConfig):
    """Settings of `Ahns`."""

    ahns_alpha: float = flag(1.0, "Added to the positive's score before the power.", at_least=-1e6, at_most=1e6)
    ahns_beta: float = flag(0.1, "Factor of the hardness.", above=0, at_most=1e6)
    ahns_power: float = flag(
        -2.0, "p; the more negative, the easier the negatives of high-scored positives.", at_least=-10, at_most=10
    )


class Ahns(Sampler):
    """For each positive the candidate whose score is nearest to what the positive's score asks for.

    That is the j with the least |r_uj - beta (r_ui + alpha)^(p + 1)|: with p < -1, the higher the positive's score, the
    easier its negative. Each positive has M / N of the candidates to itself: of the same ones all would ask for nearly
    the same, and what scores above that would never be pushed down. The k-th negative belongs to the k-th positive, and
    with `pairing`=pair they meet in the loss as in the paper.

    Where r_ui + alpha is not above 0, a power of it is no number, or for the whole p + 1 of the authors' code one of
    changing sign; here the base is then taken to be just above 0, which with p < -1 asks for the hardest candidate.

    Where all scores are near 0, as at the start, every positive asks for the hardest: it needs scores that mean
    something, see `defaults`.
    """

    config_class = AhnsConfig
    revision = 2  # each positive has candidates of its own
    defaults = CHOOSES_BY_SCORE

    def __init__(self, *, alpha: float = 1.0, beta: float = 0.1, power: float = -2.0) -> None:
        """Args:
        alpha, beta, power: alpha, beta and p above.
        """
        super().__init__(name="ahns")
        self._alpha, self._beta, self._power = alpha, beta, power

    @classmethod
    def build(cls, config: AhnsConfig, setup: Setup) -> Self:
        return cls(alpha=config.ahns_alpha, beta=config.ahns_beta, power=config.ahns_power)

    @classmethod
    def num_candidates(cls, config: AhnsConfig, setup: Setup) -> int:
        """As many for each positive as there are for all."""
        del config
        return setup.num_candidates // setup.group_size * setup.group_size

    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        queries = scorer.queries(batch.users)
        positives, candidates = scorer.scores(queries, batch.positives), scorer.scores(queries, batch.candidates)
        shape = [-1, batch.candidates.shape[1] // batch.group_size, batch.group_size]  # (user, candidate, positive)
        candidates = tf.reshape(candidates, shape)
        wanted = self._beta * tf.maximum(positives + self._alpha, SMALLEST_BASE) ** (self._power + 1)
        # Beyond all candidates, float32 might not tell them apart, or the power be infinite.
        wanted = tf.clip_by_value(wanted, tf.reduce_min(candidates, axis=1), tf.reduce_max(candidates, axis=1))
        nearest = tf.argmin(tf.abs(candidates - wanted[:, None, :]), axis=1, output_type=tf.int32)
        places = nearest * batch.group_size + tf.range(batch.group_size)
        return Selection(tf.gather(batch.candidates, places, batch_dims=1))
