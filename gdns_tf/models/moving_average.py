"""Moving average of the weights, which ranks better than the last step's."""

from collections.abc import Sequence

import tensorflow as tf


class WeightAverage(tf.Module):
    """Exponential moving average, updated once an epoch.

    The decay at epoch t is min(decay, (1 + t) / (10 + t)), as `tf.train.ExponentialMovingAverage` does with
    `num_updates`, so that the random start is soon forgotten.
    """

    def __init__(self, variables: Sequence[tf.Variable], decay: float) -> None:
        """Args:
        variables: the weights, which the average starts from.
        decay: in [0, 1); with 0 the average is the weights themselves.
        """
        super().__init__(name="average")
        self._sources = list(variables)
        self._decay = decay
        self.variables_ = [tf.Variable(v, trainable=False, name=f"average_{v.name.split(':')[0]}") for v in variables]

    @tf.function(autograph=False)
    def update(self, epoch: tf.Tensor) -> None:
        """Takes in the weights of the end of an epoch.

        Args:
          epoch: [] float32, counted from 1.
        """
        keep = tf.minimum(self._decay, (1.0 + epoch) / (10.0 + epoch)) if self._decay else 0.0
        for average, source in zip(self.variables_, self._sources, strict=True):
            average.assign(keep * average + (1.0 - keep) * source)
