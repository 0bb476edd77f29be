"""Weighted draws against their exact probabilities."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import chisquare
from test_batches import ITEMS, LISTS, TRAIN, interactions_of

import pipelines.observed
from pipelines.batches import user_batches
from pipelines.draws import exact_drawer, unobserved_drawer
from pipelines.errors import InputError

# From rare to common, and every fifth is never to be drawn.
WEIGHTS = np.where(np.arange(ITEMS) % 5 == 4, 0.0, 0.3 * 1.15 ** np.arange(ITEMS))
COUNT = 4000


def probabilities(user, weights):
    """By the definition: the weights, without those of the observed items, scaled to sum to 1."""
    unobserved = np.array([0.0 if item in set(LISTS[user]) else weights[item] for item in range(ITEMS)])
    return unobserved / unobserved.sum()


def check(drawn, expected):
    counts = np.bincount(drawn, minlength=ITEMS)
    assert not counts[expected == 0].any()
    pool = expected > 0
    assert pool.sum() == 1 or chisquare(counts[pool], expected[pool] * len(drawn)).pvalue > 1e-3


@pytest.mark.parametrize("bitmap", [True, False])
def test_candidates_follow_the_weights(bitmap, monkeypatch):
    if not bitmap:
        monkeypatch.setattr(pipelines.observed, "MAX_BITMAP_BYTES", 0)
    drawn = unobserved_drawer(TRAIN, COUNT, WEIGHTS)(tf.range(len(LISTS)), [3, 4]).numpy()
    assert drawn.dtype == np.int32
    for user in range(len(LISTS)):
        check(drawn[user], probabilities(user, WEIGHTS))


@pytest.mark.parametrize("masses", [np.ones(ITEMS, np.int64), np.arange(ITEMS) % 7 + (np.arange(ITEMS) == 21)])
def test_the_exact_draw_follows_the_masses(masses):
    users = tf.repeat(tf.range(len(LISTS)), COUNT)
    drawn = exact_drawer(TRAIN, masses.astype(np.int64))(users, [5, 6]).numpy().reshape(len(LISTS), COUNT)
    for user in range(len(LISTS)):
        check(drawn[user], probabilities(user, masses))


def test_equal_weights_are_uniform():
    drawn = unobserved_drawer(TRAIN, COUNT, np.full(ITEMS, 0.7))(tf.range(len(LISTS)), [3, 4]).numpy()
    for user in range(len(LISTS)):
        check(drawn[user], probabilities(user, np.ones(ITEMS)))


def test_batches_take_weights():
    (batch,) = user_batches(TRAIN, batch_size=6, group_size=2, num_candidates=COUNT, seed=3, item_weights=WEIGHTS).take(
        1
    )
    for user, candidates in zip(batch["users"].numpy(), batch["candidates"].numpy(), strict=True):
        check(candidates, probabilities(user, WEIGHTS))


def test_a_tiny_weight_is_not_lost():
    weights = np.where(np.arange(ITEMS) == 21, 1e-30, 1.0)
    drawn = unobserved_drawer(TRAIN, 5, weights)(tf.constant([1]), [0, 0])  # this user has all others
    assert (drawn.numpy() == 21).all()


def test_a_user_with_nothing_to_draw_is_named():
    with pytest.raises(InputError, match="user 1 has every item that has a weight"):
        unobserved_drawer(interactions_of([[1], [2, 3]], 5), 4, np.array([0, 0, 1, 1, 0]))


@pytest.mark.parametrize("weights", [np.ones(ITEMS - 1), np.zeros(ITEMS), np.full(ITEMS, np.nan), np.arange(ITEMS) - 1])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="item weights"):
        unobserved_drawer(TRAIN, 4, weights)
