"""Popular negatives (Chen et al., KDD 2017, On Sampling Strategies for Neural Network-based CF)."""

from dataclasses import dataclass

import numpy as np

from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import SamplerConfig
from gdns_tf.samplers.uniform import Uniform
from pipelines.config import flag
from pipelines.errors import require


@dataclass(frozen=True)
class NncfConfig(SamplerConfig):
    """Settings of `Nncf`."""

    popularity_power: float = flag(0.75, "Negatives are drawn in proportion to popularity to this power.")

    def check(self) -> None:
        require(
            0 <= self.popularity_power < float("inf"), "popularity_power", self.popularity_power, "must be 0 or more"
        )


class Nncf(Uniform):
    """The first candidates, which come drawn in proportion to popularity to a power.

    Popularity is the number of users who have the item in training; an item that nobody has is never a negative,
    unless the power is 0.
    """

    config_class = NncfConfig

    @classmethod
    def item_weights(cls, config: NncfConfig, setup: Setup) -> np.ndarray:
        return setup.train.item_counts**config.popularity_power
