"""AdvIR (Park & Chang, WWW 2019, Adversarial Sampling and Training for Semi-Supervised Information Retrieval)."""

from dataclasses import dataclass
from typing import Self

import tensorflow as tf

from gdns_tf.models.losses import RankingLoss
from gdns_tf.models.scorer import LINEAR
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import Scored
from gdns_tf.samplers.generator import Generator, GeneratorConfig
from gdns_tf.samplers.irgan import Irgan
from pipelines.config import flag


@dataclass(frozen=True)
class AdvIrConfig(GeneratorConfig):
    """Settings of `AdvIr`."""

    perturbation: float = flag(
        0.003, "Length of the adversarial perturbation of an item's factors.", at_least=0, at_most=1e6
    )
    perturbed_weight: float = flag(1.0, "Weight of the perturbed loss.", at_least=0, at_most=1e6)


class AdvIr(Irgan):
    """Adversarial sampling as by IRGAN, and adversarial training: the loss counts once more with perturbed items.

    Each item's factors are moved by a vector of length epsilon in the direction that raises the loss most (fast
    gradient). The score is linear in them, so for a negative that is the direction of the user's query and for a
    positive the opposite: the scores move by epsilon ||query||, and no perturbed factors are ever built.
    """

    config_class = AdvIrConfig
    requires = frozenset({LINEAR})

    def __init__(self, generator: Generator, *, perturbation: float = 0.1, perturbed_weight: float = 1.0) -> None:
        """Args:
        generator: draws the negatives.
        perturbation: epsilon.
        perturbed_weight: of the perturbed loss; the plain one has 1.
        """
        super().__init__(generator)
        self._perturbation, self._perturbed_weight = perturbation, perturbed_weight

    @classmethod
    def build(cls, config: AdvIrConfig, setup: Setup) -> Self:
        return cls(
            Generator.build(config, setup),
            perturbation=config.perturbation,
            perturbed_weight=config.perturbed_weight,
        )

    def losses(self, scored: Scored, ranking_loss: RankingLoss) -> tf.Tensor:
        length = tf.norm(tf.stop_gradient(scored.queries), axis=1, keepdims=True)
        direction = tf.math.divide_no_nan(tf.stop_gradient(scored.queries), length)
        shift = self._perturbation * tf.reduce_sum(scored.queries * direction, axis=1, keepdims=True)
        perturbed = ranking_loss(scored.positives - shift, scored.negatives + shift)
        return ranking_loss(scored.positives, scored.negatives) + self._perturbed_weight * perturbed
