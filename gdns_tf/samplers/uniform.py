"""Uniform negatives (BPR, Rendle et al., 2009)."""

import tensorflow as tf

from gdns_tf.samplers.base import Sampler, Selection


class Uniform(Sampler):
    """The first candidates: they come uniformly drawn and in random order."""

    def select(self, users: tf.Tensor, candidates: tf.Tensor, group_size: int) -> Selection:
        return Selection(candidates[:, :group_size])
