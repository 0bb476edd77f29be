"""The multinomial likelihood against SciPy, and its gradient against TensorFlow's own, whatever the blocks."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from gdns_tf.models.likelihood import negative_log_likelihood

ROW_OF, ITEMS = tf.constant([0, 0, 0, 1, 2, 2, 3]), tf.constant([9, 0, 4, 4, 2, 3, 9])
SHARES = tf.constant([0.5, 0.2, 0.3, 1.0, 0.5, 0.5, 1.0])


@pytest.mark.parametrize("block", [1, 3, 7, 10, 100])
def test_values_and_gradients(block):
    queries, table = (
        tf.random.stateless_normal([4, 5], [0, 1]) * 3,
        tf.Variable(tf.random.stateless_normal([10, 5], [0, 2])),
    )
    upstream = tf.constant([1.0, -2.0, 0.5, 0.0])
    at = tf.stack([ROW_OF, ITEMS], axis=1)

    def plain(q, t):
        logs = tf.nn.log_softmax(tf.matmul(q, t, transpose_b=True))
        return -tf.math.segment_sum(SHARES * tf.gather_nd(logs, at), ROW_OF)

    results = []
    for loss in (lambda q, t: negative_log_likelihood(q, t, ROW_OF, ITEMS, SHARES, block), plain):
        with tf.GradientTape() as tape:
            tape.watch(queries)
            losses = loss(queries, table)
            total = tf.reduce_sum(upstream * losses)
        results.append([losses, *map(tf.convert_to_tensor, tape.gradient(total, [queries, table]))])
    logs = log_softmax(queries.numpy().astype(float) @ table.numpy().T, axis=1)[ROW_OF, ITEMS]
    np.testing.assert_allclose(results[0][0], -np.bincount(ROW_OF, SHARES * logs), rtol=1e-5)
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("block", "losses"), [(2, [100.0, 500.0]), (3, [87.3365, 87.3365])])
def test_large_scores_do_not_overflow(block, losses):
    """At once a loss is 87 at most, as its docstring says; the gradient is the same."""
    table, queries = tf.Variable([[200.0], [100.0], [-300.0]]), tf.constant([[1.0], [-1.0]])
    with tf.GradientTape() as tape:
        found = negative_log_likelihood(queries, table, tf.constant([0, 1]), tf.constant([1, 0]), tf.ones(2), block)
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(found, table), [[2.0], [-1.0], [-1.0]], atol=1e-6)


@pytest.mark.parametrize("block", [2, 3])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_item_that_is_no_number_is_not_hidden(block, value):
    """The loss may miss it, but the queries' gradient does not, so that the next step's loss is no number."""
    table, queries = tf.constant([[value], [1.0], [2.0]]), tf.Variable([[1.0]])
    with tf.GradientTape() as tape:
        losses = negative_log_likelihood(queries, table, tf.constant([0]), tf.constant([1]), tf.ones(1), block)
    assert not np.isfinite(tape.gradient(losses, queries)).any()
