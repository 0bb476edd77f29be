"""AdvIR (Park & Chang, WWW 2019, Adversarial Sampling and Training for Semi-Supervised Information Retrieval)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from gdns_tf.models.losses import RankingLoss
from gdns_tf.samplers.base import Scored
from gdns_tf.samplers.generator import Generator
from gdns_tf.samplers.irgan import Irgan
from pipelines.interactions import Interactions

if TYPE_CHECKING:
    from gdns_tf.training.config import TrainConfig


class AdvIr(Irgan):
    """Adversarial sampling as by IRGAN, and adversarial training: the loss counts once more with perturbed items.

    Each item's factors are moved by a vector of length epsilon in the direction that raises the loss most (fast
    gradient). The score is linear in them, so for a negative that is the direction of the user's query and for a
    positive the opposite: the scores move by epsilon ||query||, and no perturbed factors are ever built.
    """

    def __init__(self, generator: Generator, *, perturbation: float = 0.1, perturbed_weight: float = 1.0) -> None:
        """Args:
        generator: draws the negatives.
        perturbation: epsilon.
        perturbed_weight: of the perturbed loss; the plain one has 1.
        """
        super().__init__(generator)
        self._perturbation, self._perturbed_weight = perturbation, perturbed_weight

    @classmethod
    def build(cls, train: Interactions, config: TrainConfig) -> AdvIr:
        return cls(
            Generator.build(train, config),
            perturbation=config.perturbation,
            perturbed_weight=config.perturbed_weight,
        )

    def losses(self, scored: Scored, ranking_loss: RankingLoss) -> tf.Tensor:
        length = tf.norm(tf.stop_gradient(scored.queries), axis=1, keepdims=True)
        direction = tf.math.divide_no_nan(tf.stop_gradient(scored.queries), length)
        shift = self._perturbation * tf.reduce_sum(scored.queries * direction, axis=1, keepdims=True)
        perturbed = ranking_loss(scored.positives - shift, scored.negatives + shift)
        return ranking_loss(scored.positives, scored.negatives) + self._perturbed_weight * perturbed
