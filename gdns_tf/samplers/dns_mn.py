"""DNS(M, N) (Shi et al., WWW 2023, On the Theories Behind Hard Negative Sampling for Recommendation)."""

from dataclasses import dataclass
from typing import Self

import tensorflow as tf

from gdns_tf.models import stateless
from gdns_tf.models.scorer import Scorer
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import CHOOSES_BY_SCORE, LARGEST_NUM_CANDIDATES, Batch, Sampler, SamplerConfig, Selection
from gdns_tf.samplers.dns import highest_scored
from pipelines.config import flag
from pipelines.errors import require


@dataclass(frozen=True)
class DnsMNConfig(SamplerConfig):
    """Settings of `DnsMN`."""

    top_candidates: int = flag(
        0,
        "Negatives are drawn from this many of the highest-scored candidates; 0: midway from group_size to all.",
        at_least=0,
        at_most=LARGEST_NUM_CANDIDATES,
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
    def check_sizes(cls, config: DnsMNConfig, group_size: int, num_candidates: int) -> None:
        rule = f"must lie between `group_size`={group_size} and `num_candidates`={num_candidates}, or be 0"
        good = config.top_candidates == 0 or group_size <= config.top_candidates <= num_candidates
        require(good, "top_candidates", config.top_candidates, rule)

    @classmethod
    def build(cls, config: DnsMNConfig, setup: Setup) -> Self:
        return cls(config.top_candidates or (setup.group_size + setup.num_candidates) // 2)

    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        hard = highest_scored(batch, scorer, self._top_candidates)
        lots = stateless.uniform(tf.shape(hard), batch.seed)
        drawn = tf.math.top_k(lots, batch.group_size, sorted=False).indices
        return Selection(tf.gather(hard, drawn, batch_dims=1))
