"""Eq. 2 in loops, and the start of the weights."""

import numpy as np
import tensorflow as tf

from gdns_tf.models.gmf import GMF
from gdns_tf.models.inner_products import inner_products, sum_by_item


def test_scores_are_equation_2():
    model = GMF(4, 6, 3, init_scale=1.0)
    users, items = np.array([3, 0]), np.array([[5, 1, 1], [0, 2, 4]])
    P, Q, w = (v.numpy().astype(float) for v in (model.P, model.Q, model.w))
    expected = [
        [sum(w[k] * P[u, k] * Q[i, k] for k in range(3)) for i in row] for u, row in zip(users, items, strict=True)
    ]
    np.testing.assert_allclose(model((tf.constant(users), tf.constant(items))), expected, rtol=1e-5)


def test_start_has_the_stated_scale_and_depends_on_the_seed():
    model, same, other = GMF(500, 400, 32), GMF(500, 400, 32), GMF(500, 400, 32, seed=1)
    assert abs(np.std(model.P) - 0.01) < 0.0005
    assert abs(np.std(model.Q) - 0.01) < 0.0005
    assert np.abs(model.w).max() <= np.sqrt(6 / 33)
    np.testing.assert_array_equal(model.P, same.P)
    assert (model.P.numpy() != other.P.numpy()).any()
    assert (model.P.numpy()[:400] != model.Q.numpy()).any()


def test_sum_by_item_is_the_loop():
    rng = np.random.default_rng(0)
    items = rng.integers(0, 5, (4, 6)).astype(np.int32)
    factors, rows = rng.normal(size=(4, 6)).astype(np.float32), rng.normal(size=(4, 3)).astype(np.float32)
    expected = np.zeros((7, 3))
    for b in range(4):
        for k in range(6):
            expected[items[b, k]] += factors[b, k] * rows[b]
    np.testing.assert_allclose(sum_by_item(items, factors, rows, 7), expected, atol=1e-5)


def test_gradient_equals_the_plain_one():
    table, queries = tf.Variable(tf.random.stateless_normal([9, 4], [0, 1])), tf.random.stateless_normal([3, 4], [0, 2])
    items = tf.constant([[0, 8, 8], [1, 1, 1], [8, 2, 0]])
    upstream = tf.random.stateless_normal([3, 3], [0, 3])
    results = []
    for scores in (inner_products, lambda q, t, i: tf.linalg.matvec(tf.gather(t, i), q)):
        with tf.GradientTape() as tape:
            tape.watch(queries)
            objective = tf.reduce_sum(upstream * scores(queries, table, items))
        results.append([tf.convert_to_tensor(g).numpy() for g in tape.gradient(objective, [queries, table])])
    for ours, plain in zip(*results, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-6)
