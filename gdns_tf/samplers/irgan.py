"""IRGAN (Wang et al., SIGIR 2017, IRGAN: A Minimax Game for Unifying Generative and Discriminative Information
Retrieval Models)."""

from typing import Self

import tensorflow as tf

from gdns_tf.models.scorer import Scorer
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import Batch, Sampler, Scored, Selection
from gdns_tf.samplers.generator import Generator, GeneratorConfig


class Irgan(Sampler):
    """A generator draws the negatives, and learns to draw what the model, as the discriminator, takes for positive.

    The model learns from both by the ranking loss. The generator's reward for an item is 2 (sigmoid(r_uj) - 0.5), as in
    the authors' code; the baseline is the user's mean. Their generator also takes the positives for draws (importance
    sampling); here it proposes negatives only. Neither side is trained before the game.
    """

    config_class = GeneratorConfig

    def __init__(self, generator: Generator) -> None:
        """Args:
        generator: draws the negatives.
        """
        super().__init__(name="irgan")
        self.generator = generator

    @classmethod
    def build(cls, config: GeneratorConfig, setup: Setup) -> Self:
        return cls(Generator.build(config, setup))

    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        del scorer
        return self.generator.draw(batch)

    def update(self, scored: Scored) -> None:
        self.generator.learn(scored.batch, scored.selection, self.advantages(scored))

    def advantages(self, scored: Scored) -> tf.Tensor:
        """Reward less baseline of each negative: [batch, group_size]. Called once a step."""
        rewards = 2.0 * (tf.sigmoid(scored.negatives) - 0.5)
        return rewards - tf.reduce_mean(rewards, axis=1, keepdims=True)

    def diagnostics(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The perplexity of the draws, as a share of the candidates: 1 if uniform, 1 / M if always the same."""
        probabilities = self.generator.probabilities(batch)
        entropy = -tf.reduce_sum(tf.math.xlogy(probabilities, probabilities), axis=1)
        return {"generator_perplexity": tf.reduce_mean(tf.exp(entropy)) / probabilities.shape[1]}
