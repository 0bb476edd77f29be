"""RNS-AS, the adversarial sampler without exposure data (Ding et al., IJCAI 2019, Reinforced Negative Sampling for
Recommendation with Exposure Data)."""

from typing import Self

import tensorflow as tf

from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import Scored
from gdns_tf.samplers.generator import Generator, GeneratorConfig
from gdns_tf.samplers.irgan import Irgan


class RnsAs(Irgan):
    """A generator rewarded by -sigmoid(-r_uj), less the mean reward of the epoch before, of all users.

    So in the authors' code, where the first epoch's baseline is 0. Unlike the user's own mean this baseline leaves in
    how high the model scores the user's negatives on the whole. Their generator starts from a trained model; this one
    starts at random.
    """

    def __init__(self, generator: Generator, steps: int) -> None:
        """Args:
        generator: draws the negatives.
        steps: in an epoch.
        """
        super().__init__(generator)
        self._steps = steps
        self.baseline = tf.Variable(0.0, trainable=False, name="baseline")
        self.total = tf.Variable(tf.zeros([2]), trainable=False, name="total")
        """Of the epoch so far: the sum of the users' mean rewards, and how many users."""

    @classmethod
    def build(cls, config: GeneratorConfig, setup: Setup) -> Self:
        return cls(Generator.build(config, setup), setup.steps_per_epoch)

    def advantages(self, scored: Scored) -> tf.Tensor:
        rewards = -tf.sigmoid(-scored.negatives)
        advantages = rewards - self.baseline
        of_users = tf.reduce_mean(rewards, axis=1)
        total = self.total + tf.stack([tf.reduce_sum(of_users), tf.cast(tf.size(of_users), tf.float32)])
        last = scored.batch.step % self._steps == self._steps - 1
        self.baseline.assign(tf.where(last, total[0] / total[1], self.baseline))
        self.total.assign(tf.where(last, 0.0, total))
        return advantages
