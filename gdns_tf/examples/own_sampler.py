"""A negative sampler of one's own: python -m gdns_tf.examples.own_sampler

It may be given to `fit` as an object, as here. To have it as `--sampler=popular_first` on the command line, a package
names it in its pyproject.toml:

    [project.entry-points."gdns_tf.samplers"]
    popular_first = "my_package.samplers:PopularFirst"
"""

import sys
from dataclasses import dataclass
from typing import Self

import tensorflow as tf

import gdns_tf
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import Batch, Sampler, SamplerConfig, Selection
from pipelines.config import flag


@dataclass(frozen=True)
class PopularFirstConfig(SamplerConfig):
    """Settings of `PopularFirst`; each becomes a flag, and a keyword of `fit`, once the sampler is registered."""

    noise: float = flag(1.0, "Standard deviation of the noise on the logarithm of the counts.", at_least=0, at_most=1e6)


class PopularFirst(Sampler):
    """The candidates that most users have, with some noise on it: what a user passed over although it is well known."""

    config_class = PopularFirstConfig

    def __init__(self, log_counts: tf.Tensor, noise: float) -> None:
        """Args:
        log_counts: [num_items] float32.
        noise: standard deviation of what is added to them, in each draw anew.
        """
        super().__init__(name="popular_first")
        self._log_counts, self._noise = log_counts, noise

    @classmethod
    def build(cls, config: PopularFirstConfig, setup: Setup) -> Self:
        return cls(tf.math.log1p(tf.constant(setup.train.item_counts, tf.float32)), config.noise)

    def select(self, batch: Batch, scorer: gdns_tf.Scorer) -> Selection:
        # All randomness comes from the batch's seed: then a run that is gone on with draws the same.
        noise = tf.random.stateless_normal(tf.shape(batch.candidates), batch.seed)
        known = tf.gather(self._log_counts, batch.candidates) + self._noise * noise
        chosen = tf.math.top_k(known, batch.group_size, sorted=False).indices
        return Selection(tf.gather(batch.candidates, chosen, batch_dims=1))


def main(max_epochs: int = 200) -> None:
    data = gdns_tf.Dataset.load("planted")
    settings = {"group_size": 16, "num_candidates": 64, "batch_size": 256, "max_epochs": max_epochs}
    counts = tf.math.log1p(tf.constant(data.train.item_counts, tf.float32))
    for name, sampler in (("uniform", "uniform"), ("own", PopularFirst(counts, noise=2.0)), ("gdns", "gdns")):
        model = gdns_tf.fit(data, sampler=sampler, **settings)
        print(f"{name:8} validation NDCG@3 {model.metrics['valid']['ndcg@3']:.4f}")

    gdns_tf.SAMPLERS.register("popular_first", PopularFirst)  # now by name, with its settings
    gdns_tf.fit(data, sampler="popular_first", noise=2.0, **settings)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
