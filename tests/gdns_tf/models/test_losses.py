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


def test_better_order_costs_less():
    for loss in (Hinge(), SquaredHinge(), Softplus()):
        assert loss(POSITIVES + 1, NEGATIVES) < loss(POSITIVES, NEGATIVES) < loss(POSITIVES - 1, NEGATIVES)


def test_unknown_pairing_is_refused():
    with pytest.raises(ValueError, match="group, pair"):
        Hinge(1.0, "triple")
