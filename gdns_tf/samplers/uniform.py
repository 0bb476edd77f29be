"""Uniform negatives (BPR, Rendle et al., 2009)."""

from gdns_tf.models.scorer import Scorer
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import Batch, Sampler, SamplerConfig, Selection


class Uniform(Sampler):
    """The first candidates: they come uniformly drawn and in random order."""

    takes_candidates = True

    @classmethod
    def num_candidates(cls, config: SamplerConfig, setup: Setup) -> int:
        del config
        return setup.group_size

    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        return Selection(batch.candidates[:, : batch.group_size])
