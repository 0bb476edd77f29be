"""Popularity by hand."""

import numpy as np
from toy import toy_interactions

from gdns_tf.evaluation.baselines import popularity

TRAIN = toy_interactions(num_users=40, num_items=25)


def test_popularity_counts_users():
    factors = popularity(TRAIN)
    scores = factors.queries @ factors.items.T
    counts = [sum(item in TRAIN.of(user) for user in range(40)) for item in range(25)]
    np.testing.assert_array_equal(scores, np.tile(counts, (40, 1)))
