"""Draws from the rows of a batch, against their exact probabilities and against the draws of data in memory."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import chisquare
from test_batches import ITEMS, LISTS, TRAIN, interactions_of
from test_draws import COUNT, WEIGHTS, check, probabilities

from pipelines.draws import positive_drawer
from pipelines.draws import unobserved_drawer as drawer_in_memory
from pipelines.ragged_draws import contains, draw_positives, sorted_pairs, unobserved_drawer

ROWS = tf.RaggedTensor.from_row_splits(TRAIN.items, TRAIN.offsets)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_candidates_are_unobserved_and_follow_the_weights(weights):
    drawn = tf.function(unobserved_drawer(TRAIN, COUNT, weights))(ROWS, [3, 4]).numpy()
    assert drawn.dtype == np.int32
    for user in range(len(LISTS)):
        check(drawn[user], probabilities(user, np.ones(ITEMS) if weights is None else weights))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_they_are_those_of_data_in_memory(weights):
    users, seed = tf.constant([4, 1, 5, 0]), [8, 9]
    rows = tf.gather(ROWS, users)
    expected = drawer_in_memory(TRAIN, 50, weights)(users, seed)
    np.testing.assert_array_equal(unobserved_drawer(TRAIN, 50, weights)(rows, seed), expected)
    np.testing.assert_array_equal(draw_positives(rows, 50, seed), positive_drawer(TRAIN, 50)(users, seed))


def test_positives_are_uniform_over_the_row():
    drawn = draw_positives(ROWS, COUNT, [1, 2]).numpy()
    for user, items in enumerate(LISTS):
        counts = np.bincount(drawn[user], minlength=ITEMS)
        assert counts[list(items)].sum() == COUNT
        assert len(items) == 1 or chisquare(counts[list(items)]).pvalue > 1e-3


def test_what_a_row_has_is_found():
    items = tf.constant(np.arange(ITEMS)[None].repeat(len(LISTS), axis=0), tf.int32)
    found = contains(sorted_pairs(ROWS, ITEMS), items, ITEMS).numpy()
    assert [np.flatnonzero(row).tolist() for row in found] == [sorted(items) for items in LISTS]


def test_a_catalogue_and_a_batch_that_32_bits_could_not_number():
    num_items = 2**31 - 1
    rows = tf.ragged.constant([[num_items - 1, 5], [0], [num_items - 2]], tf.int32)
    pairs = sorted_pairs(rows, num_items)
    assert pairs.numpy().tolist() == [5, num_items - 1, num_items, 3 * num_items - 2]
    sought = tf.constant([[5, 6], [0, num_items - 1], [num_items - 2, 0]], tf.int32)
    assert contains(pairs, sought, num_items).numpy().tolist() == [[True, False], [True, False], [True, False]]


def test_a_row_with_nothing_to_draw_fails():
    rows = tf.ragged.constant([[1], [2, 3]], tf.int32)
    draw = unobserved_drawer(interactions_of([[1], [2, 3]], 5), 4, np.array([0, 0, 1, 1, 0]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="every item that may be drawn"):
        draw(rows, [0, 0])
