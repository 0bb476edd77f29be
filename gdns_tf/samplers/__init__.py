"""Negative samplers, one file each behind the interface in `base`."""

from gdns_tf.samplers.base import Sampler, Selection
from gdns_tf.samplers.gdns import Gdns
from gdns_tf.samplers.uniform import Uniform

SAMPLERS = ("uniform", "gdns", "gdns_without_g")

__all__ = ["SAMPLERS", "Gdns", "Sampler", "Selection", "Uniform"]
