"""Popular negatives (Chen et al., KDD 2017, On Sampling Strategies for Neural Network-based CF)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gdns_tf.samplers.uniform import Uniform
from pipelines.interactions import Interactions

if TYPE_CHECKING:
    from gdns_tf.training.config import TrainConfig


class Nncf(Uniform):
    """The first candidates, which come drawn in proportion to popularity to a power.

    Popularity is the number of users who have the item in training; an item that nobody has is never a negative,
    unless the power is 0.
    """

    @classmethod
    def item_weights(cls, train: Interactions, config: TrainConfig) -> np.ndarray:
        return np.bincount(train.items, minlength=train.num_items) ** config.popularity_power
