"""Uniform negatives (BPR, Rendle et al., 2009)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gdns_tf.models.gmf import GMF
from gdns_tf.samplers.base import Batch, Sampler, Selection

if TYPE_CHECKING:
    from gdns_tf.training.config import TrainConfig


class Uniform(Sampler):
    """The first candidates: they come uniformly drawn and in random order."""

    @classmethod
    def num_candidates(cls, config: TrainConfig) -> int:
        return config.group_size

    def select(self, batch: Batch, scorer: GMF) -> Selection:
        return Selection(batch.candidates[:, : batch.group_size])
