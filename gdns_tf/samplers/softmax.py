"""Softmax-v(rho, N) (Shi et al., WWW 2023, On the Theories Behind Hard Negative Sampling for Recommendation)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from gdns_tf.models.losses import RankingLoss
from gdns_tf.samplers.base import Scored
from gdns_tf.samplers.uniform import Uniform
from pipelines.interactions import Interactions

if TYPE_CHECKING:
    from gdns_tf.training.config import TrainConfig


class Softmax(Uniform):
    """Uniform negatives, each user's weighted by the softmax of their scores.

    The temperature sqrt(variance of the scores / (2 rho)) is about that of the weights within a Kullback-Leibler
    distance rho of equal ones that make the loss largest, so rho sets the hardness whatever the scale of the scores.
    """

    def __init__(self, radius: float = 0.5) -> None:
        """Args:
        radius: rho.
        """
        super().__init__(name="softmax")
        self._radius = radius

    @classmethod
    def build(cls, train: Interactions, config: TrainConfig) -> Softmax:
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
