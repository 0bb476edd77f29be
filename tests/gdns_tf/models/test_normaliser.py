"""The softmax's normaliser against SciPy, and its gradient against TensorFlow's own, whatever the blocks."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp

from gdns_tf.models.normaliser import log_normalisers


@pytest.mark.parametrize("block", [1, 3, 7, 10, 100])
def test_values_and_gradients(block):
    queries, table = (
        tf.random.stateless_normal([4, 5], [0, 1]) * 3,
        tf.Variable(tf.random.stateless_normal([10, 5], [0, 2])),
    )
    upstream = tf.constant([1.0, -2.0, 0.5, 0.0])
    results = []
    for normalise in (
        lambda q, t: log_normalisers(q, t, block),
        lambda q, t: tf.reduce_logsumexp(tf.matmul(q, t, transpose_b=True), 1),
    ):
        with tf.GradientTape() as tape:
            tape.watch(queries)
            logs = normalise(queries, table)
            total = tf.reduce_sum(upstream * logs)
        results.append([logs, *tape.gradient(total, [queries, table])])
    np.testing.assert_allclose(results[0][0], logsumexp(queries.numpy() @ table.numpy().T, axis=1), rtol=1e-6)
    for ours, plain in zip(*results, strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(ours), tf.convert_to_tensor(plain), rtol=1e-5, atol=1e-6)


def test_large_scores_do_not_overflow():
    table = tf.constant([[200.0], [100.0], [-300.0]])
    np.testing.assert_allclose(log_normalisers(tf.constant([[1.0], [-1.0]]), table, 2), [200.0, 300.0])
