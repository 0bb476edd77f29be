"""Exact top-k against NumPy's stable sort."""

import numpy as np
import pytest
import tensorflow as tf

from gdns_tf.serving.top_k import top_k


def _expected(scores, k):
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


def _check(scores, k, got):
    values, columns = _expected(scores, k)
    np.testing.assert_array_equal(got[1], columns)
    np.testing.assert_array_equal(got[0], values)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 999, 4096, 20_001])
@pytest.mark.parametrize("k", [1, 10, 100])
@pytest.mark.parametrize("levels", [2, 50, 10**6])
def test_equals_stable_sort_with_ties(n, k, levels):
    scores = np.random.default_rng(n + k + levels).integers(0, levels, (5, n)).astype(np.float32)
    _check(scores, k, top_k(tf.constant(scores), k))
    _check(scores, k, top_k(tf.constant(scores), tf.constant(k, tf.int64)))


def test_all_scores_equal_gives_the_first_columns():
    _, columns = top_k(tf.zeros([2, 50_000]), 70)
    np.testing.assert_array_equal(columns, np.tile(np.arange(70), (2, 1)))


def test_masked_columns_come_last_and_padding_never():
    scores = np.full((3, 10_001), -np.inf, np.float32)
    scores[0, [10_000, 5_000, 7]] = 1.0
    scores[1, 9_999] = -3.0
    _check(scores, 20, top_k(tf.constant(scores), 20))


def test_k_above_the_number_of_columns_counts_as_it():
    scores = np.random.default_rng(0).normal(size=(2, 40)).astype(np.float32)
    for k in (41, 1000):
        _check(scores, 40, top_k(tf.constant(scores), k))
        _check(scores, 40, top_k(tf.constant(scores), tf.constant(k)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_in_a_graph_whose_sizes_are_unknown(dtype):
    graph = tf.function(
        top_k, input_signature=[tf.TensorSpec([None, None], dtype), tf.TensorSpec([], tf.int32)], autograph=False
    )
    rng = np.random.default_rng(1)
    for batch, n, k in ((1, 7, 3), (4, 12_345, 100), (3, 640, 640), (0, 100, 5)):
        scores = rng.integers(-9, 9, (batch, n)).astype(dtype)
        _check(scores, k, graph(scores, k))


@pytest.mark.parametrize("shape", [(0, 50_000), (0, 5), (2, 0)])
def test_nothing_to_rank(shape):
    for k in (3, tf.constant(3)):
        values, columns = top_k(tf.zeros(shape), k)
        assert values.shape == columns.shape == (shape[0], min(3, shape[1]))


def test_static_shape_of_the_result_is_known():
    graph = tf.function(lambda scores: top_k(scores, 10), input_signature=[tf.TensorSpec([None, 50_000], tf.float32)])
    assert [output.shape.as_list() for output in graph.get_concrete_function().outputs] == [[None, 10], [None, 10]]
