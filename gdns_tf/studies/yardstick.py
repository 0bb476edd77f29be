"""Recommenders that are not trained by sampling, for comparison."""

from collections.abc import Mapping

from gdns_tf.evaluation.baselines import implicit_als, popularity
from gdns_tf.models.factors import Weights
from gdns_tf.training.config import TrainConfig
from pipelines.interactions import Interactions


def train(task: str, interactions: Interactions, config: TrainConfig, options: Mapping[str, float]) -> Weights:
    """The weights of the yardstick that `task` names, of `config.dim` factors where it has any."""
    if task == "popularity":
        return popularity(interactions)
    return implicit_als(interactions, dim=config.dim, seed=config.seed, **options)
