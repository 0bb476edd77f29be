"""Recommenders that are not trained by sampling, for comparison."""

from collections.abc import Mapping

from gdns_tf.config import TrainConfig
from gdns_tf.weights import Weights
from gdns_tf.yardsticks import implicit_als, popularity
from pipelines.interactions import Interactions


def train(task: str, interactions: Interactions, config: TrainConfig, options: Mapping[str, float]) -> Weights:
    """The weights of the yardstick that `task` names, of `config.dim` factors where it has any."""
    if task == "popularity":
        return popularity(interactions)
    return implicit_als(interactions, dim=config.dim, seed=config.seed, **options)
