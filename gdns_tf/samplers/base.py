"""The interface between the trainer and a negative sampler."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import tensorflow as tf


class Selection(NamedTuple):
    """What a sampler chose for a batch."""

    negatives: tf.Tensor
    """[batch, group_size] int32 items."""
    memo: tuple[tf.Tensor, ...] = ()
    """Whatever `Sampler.update` wants to know again of what `Sampler.select` saw."""


class Sampler(tf.Module, ABC):
    """Chooses each user's negatives among unobserved candidates, and may learn from the scores that they got.

    A `tf.Module`: its variables are checkpointed, but are no weights of the Keras model.
    """

    @abstractmethod
    def select(self, users: tf.Tensor, candidates: tf.Tensor, group_size: int) -> Selection:
        """Chooses `group_size` of the candidates.

        Args:
          users: [batch] int32, each user at most once.
          candidates: [batch, num_candidates] int32 unobserved items in random order.
          group_size: how many to choose.
        """

    def update(self, users: tf.Tensor, selection: Selection, positives: tf.Tensor, negatives: tf.Tensor) -> None:
        """Takes note of the scores that the step gave.

        Args:
          users: [batch] int32.
          selection: what `select` returned for this batch.
          positives: [batch, group_size] scores of the positives.
          negatives: [batch, group_size] scores of the negatives.
        """

    def signals(self, users: tf.Tensor, candidates: tf.Tensor, group_size: int) -> dict[str, tf.Tensor]:
        """Scalars that show what the sampler goes by, for TensorBoard; changes nothing."""
        return {}

    def distributions(self, users: tf.Tensor) -> dict[str, tf.Tensor]:
        """Values by name whose histograms show the sampler's state for some users [n]; changes nothing."""
        return {}
