"""DNS(M, N) (Shi et al., WWW 2023, On the Theories Behind Hard Negative Sampling for Recommendation)."""

from dataclasses import dataclass
from typing import Self

import tensorflow as tf

from gdns_tf.models.scorer import Scorer
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import CHOOSES_BY_SCORE, Batch, Sampler, SamplerConfig, Selection
from gdns_tf.samplers.dns import highest_scored
from pipelines.config import flag
from pipelines.errors import require


@dataclass(frozen=True)
class DnsMNConfig(SamplerConfig):
    """Settings of `DnsMN`."""

    top_candidates: int = flag(
        0, "Negatives are drawn from this many of the highest-scored candidates; 0: midway from group_size to all."
    )


class DnsMN(Sampler):
    """Some of the highest-scored candidates, at random: how many of them there are tunes the hardness.

    The paper takes one of the M highest-scored of its N candidates, for each positive; here `group_size` different ones
    of the `top_candidates` highest-scored of `num_candidates`, for each user. It needs scores that mean something: see
    `defaults`.
    """

    config_class = DnsMNConfig
    defaults = CHOOSES_BY_SCORE

    def __init__(self, top_candidates: int) -> None:
        """Args:
        top_candidates: how many of the highest-scored candidates to choose from.
        """
        super().__init__(name="dns_mn")
        self._top_candidates = top_candidates

    @classmethod
    def build(cls, config: DnsMNConfig, setup: Setup) -> Self:
        """Raises InputError, naming the field, for more or fewer candidates than there are to choose from."""
        fewest, most = setup.group_size, setup.num_candidates
        rule = f"must lie between `group_size`={fewest} and `num_candidates`={most}, or be 0"
        top = config.top_candidates or (fewest + most) // 2
        require(fewest <= top <= most, "top_candidates", top, rule)
        return cls(top)

    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        hard = highest_scored(batch, scorer, self._top_candidates)
        lots = tf.random.stateless_uniform(tf.shape(hard), batch.seed)
        drawn = tf.math.top_k(lots, batch.group_size, sorted=False).indices
        return Selection(tf.gather(hard, drawn, batch_dims=1))
