"""NNCF: popularity to a power, from the flag to the negatives."""

import numpy as np
import pytest
from scipy.stats import chisquare
from toy import toy_interactions

from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig

TRAIN = toy_interactions()


@pytest.mark.parametrize("power", [0.0, 0.75, 2.0])
def test_negatives_follow_popularity(power):
    sizes = {"group_size": 4000, "num_candidates": 4000, "batch_size": 99}
    settings = TrainConfig.from_settings(sampler="nncf", popularity_power=power, **sizes)
    trainer = build_trainer(TRAIN, settings)
    batch = trainer.batch(next(iter(build_batches(TRAIN, settings))))
    negatives = trainer.sampler.select(batch, trainer.scorer).negatives.numpy()
    popularity = [sum(item in TRAIN.of(user) for user in range(TRAIN.num_users)) for item in range(TRAIN.num_items)]
    for user, drawn in zip(batch.users.numpy(), negatives, strict=True):
        weights = np.array(popularity, float) ** power
        weights[TRAIN.of(user)] = 0
        counts, pool = np.bincount(drawn, minlength=TRAIN.num_items), weights > 0
        assert not counts[~pool].any()
        assert chisquare(counts[pool], weights[pool] / weights.sum() * 4000).pvalue > 1e-3
