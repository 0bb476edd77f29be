"""Popular negatives (Chen et al., KDD 2017, On Sampling Strategies for Neural Network-based CF)."""

import math
import sys
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

    popularity_power: float = flag(
        0.75, "Negatives are drawn in proportion to popularity to this power.", at_least=0, at_most=100
    )


class Nncf(Uniform):
    """The first candidates, which come drawn in proportion to popularity to a power.

    Popularity is the number of users who have the item in training; an item that nobody has is never a negative,
    unless the power is 0.
    """

    config_class = NncfConfig

    @classmethod
    def item_weights(cls, config: NncfConfig, setup: Setup) -> np.ndarray:
        """Raises InputError for a power by which the weights are no numbers any more."""
        counts, power = setup.train.item_counts, config.popularity_power
        most = int(counts.max(initial=1))
        require(
            power * math.log2(most) + math.log2(len(counts)) < sys.float_info.max_exp,
            "popularity_power",
            power,
            f"is too high for items that up to {most:,} users have",
        )
        return counts**power
