"""The test for observed pairs, in both of its forms."""

import numpy as np
import pytest
import tensorflow as tf
from test_batches import ITEMS, LISTS, TRAIN

import pipelines.observed
from pipelines.observed import Observed


@pytest.mark.parametrize("bitmap", [True, False])
def test_contains_exactly_the_observed(bitmap, monkeypatch):
    if not bitmap:
        monkeypatch.setattr(pipelines.observed, "MAX_BITMAP_BYTES", 0)
    users = np.array([5, 0, 3, 1, 4, 2], np.int32)
    items = np.stack([np.random.default_rng(user).permutation(ITEMS) for user in users]).astype(np.int32)
    expected = [[item in set(LISTS[user]) for item in row] for user, row in zip(users, items, strict=True)]
    contains = tf.function(Observed(TRAIN).contains)
    np.testing.assert_array_equal(contains(users, items), expected)
