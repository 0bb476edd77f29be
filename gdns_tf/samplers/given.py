"""A sampler that is given as an object, in place of the name of a registered one."""

import copy
from dataclasses import dataclass

import numpy as np

from gdns_tf.models.scorer import Scorer
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import Batch, Sampler, SamplerConfig, Selection
from pipelines.errors import InputError

PREFIX = "given:"
"""What the name of such a sampler begins with in flags.txt, which cannot hold the sampler."""


@dataclass(frozen=True)
class Given(SamplerConfig):
    """Holds the sampler where the settings of a registered one would be."""

    instance: Sampler | None
    """None where a run is read from its folder, which cannot hold the sampler."""

    @property
    def name(self) -> str:
        return f"{PREFIX}{type(self.instance).__name__}"


class GivenSampler(Sampler):
    """Makes a copy for every run, so that what one run taught a sampler does not reach the next."""

    config_class = Given
    takes_candidates = True  # of a run that is read from its folder it is not known, and was checked before

    @classmethod
    def build(cls, config: Given, setup: Setup) -> Sampler:
        """Raises InputError where the sampler is known by its name only."""
        del setup
        return copy.deepcopy(_instance(config))

    @classmethod
    def bytes_held(cls, config: Given, setup: Setup) -> int:
        return _instance(config).bytes_held(_instance(config).config_class(), setup)

    @classmethod
    def num_candidates(cls, config: Given, setup: Setup) -> int:
        return _instance(config).num_candidates(_instance(config).config_class(), setup)

    @classmethod
    def item_weights(cls, config: Given, setup: Setup) -> np.ndarray | None:
        return _instance(config).item_weights(_instance(config).config_class(), setup)

    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        raise NotImplementedError("`build` gives the sampler itself")


def _instance(config: Given) -> Sampler:
    if config.instance is None:
        raise InputError(
            "the run's sampler was given as an object, and only its name is known",
            remedy="Give it again: gdns_tf.fit(data, sampler=..., output_dir=...).",
        )
    return config.instance
