"""Losses by hand; their gradients are checked with the trainer."""

import numpy as np
import pytest
import tensorflow as tf

from gdns_tf.models.losses import Hinge, Softplus, SquaredHinge

POSITIVES, NEGATIVES = tf.constant([[2.0, 0.0]]), tf.constant([[1.5, -3.0]])
# Shortfalls at margin 1, positive by negative: [[0.5, -4], [2.5, -2]].


@pytest.mark.parametrize(
    ("loss", "group", "pair"),
    [
        (Hinge, 3.0, 0.5),
        (SquaredHinge, (0.25 + 6.25) / 2, 0.125),
        (
            Softplus,
            sum(np.log1p(np.exp(x)) for x in (0.5, -4.0, 2.5, -2.0)),
            sum(np.log1p(np.exp(x)) for x in (0.5, -2.0)),
        ),
    ],
)
def test_by_hand(loss, group, pair):
    np.testing.assert_allclose(loss(1.0, "group")(POSITIVES, NEGATIVES), [group], rtol=1e-6)
    np.testing.assert_allclose(loss(1.0, "pair")(POSITIVES, NEGATIVES), [pair], rtol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("loss", "penalty"), [(Hinge, tf.nn.relu), (SquaredHinge, lambda x: tf.square(tf.nn.relu(x)) / 2)]
)
def test_hinges_of_groups_are_the_sums_over_pairs_and_so_are_their_gradients(loss, penalty, weighted):
    rng = np.random.default_rng(0)
    positives, negatives, weights = (tf.constant(rng.normal(size=(4, 3)), tf.float32) for _ in range(3))

    def over_pairs(positives, negatives, weights):
        pairs = penalty(negatives[:, None, :] - positives[:, :, None] + 0.7)
        return tf.reduce_sum(pairs * weights[:, None, :] if weighted else pairs, axis=[1, 2])

    def ours(positives, negatives, weights):
        return loss(0.7)(positives, negatives, weights if weighted else None)

    found = []
    for losses in (over_pairs, tf.function(ours), tf.function(ours, jit_compile=True)):
        sources = [positives, negatives, *[weights] * weighted]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            values = losses(positives, negatives, weights)
            objective = tf.tensordot(tf.constant([1.0, -2.0, 0.5, 3.0]), values, 1)
        found.append([values, *tape.gradient(objective, sources)])
    for plain, *others in zip(*found, strict=True):
        for other in others:
            np.testing.assert_allclose(other, plain, rtol=1e-5, atol=1e-5)


def test_better_order_costs_less():
    for loss in (Hinge(), SquaredHinge(), Softplus()):
        assert loss(POSITIVES + 1, NEGATIVES) < loss(POSITIVES, NEGATIVES) < loss(POSITIVES - 1, NEGATIVES)


def test_unknown_pairing_is_refused():
    with pytest.raises(ValueError, match="group, pair"):
        Hinge(1.0, "triple")
