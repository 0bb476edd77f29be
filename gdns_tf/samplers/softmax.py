"""Softmax-v(rho, N) (Shi et al., WWW 2023, On the Theories Behind Hard Negative Sampling for Recommendation)."""

from dataclasses import dataclass
from typing import Self

import tensorflow as tf

from gdns_tf.models.losses import RankingLoss
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import CHOOSES_BY_SCORE, SamplerConfig, Scored
from gdns_tf.samplers.uniform import Uniform
from pipelines.config import flag


@dataclass(frozen=True)
class SoftmaxConfig(SamplerConfig):
    """Settings of `Softmax`."""

    radius: float = flag(0.5, "rho, how far from uniform the weights of the negatives may go.", above=0, at_most=1e6)


class Softmax(Uniform):
    """Uniform negatives, each user's weighted by the softmax of their scores.

    The temperature sqrt(variance of the scores / (2 rho)) is about that of the weights within a Kullback-Leibler
    distance rho of equal ones that make the loss largest, so rho sets the hardness whatever the scale of the scores. It
    needs scores that mean something: see `defaults`.
    """

    config_class = SoftmaxConfig
    defaults = CHOOSES_BY_SCORE

    def __init__(self, radius: float = 0.5) -> None:
        """Args:
        radius: rho.
        """
        super().__init__(name="softmax")
        self._radius = radius

    @classmethod
    def build(cls, config: SoftmaxConfig, setup: Setup) -> Self:
        return cls(config.radius)

    def weights(self, scores: tf.Tensor) -> tf.Tensor:
        """Weights of negatives by their scores, both [batch, group_size]; a user's have mean 1, to keep the loss's
        scale. Equal scores have equal weights."""
        deviation = tf.math.reduce_std(scores, axis=1, keepdims=True)
        logits = tf.math.divide_no_nan(scores * (2 * self._radius) ** 0.5, deviation)
        return tf.cast(tf.shape(scores)[1], scores.dtype) * tf.nn.softmax(logits)

    def losses(self, scored: Scored, ranking_loss: RankingLoss) -> tf.Tensor:
        weights = tf.stop_gradient(self.weights(scored.negatives))
        return ranking_loss(scored.positives, scored.negatives, weights)
