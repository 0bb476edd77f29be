"""Scaled iALS ends where the gradient of the loss that its docstring states is zero."""

import numpy as np
from toy import toy_interactions

from gdns_tf.evaluation.baselines import scaled_als

TRAIN = toy_interactions(num_users=40, num_items=25)
X = np.zeros((40, 25))
X[TRAIN.users, TRAIN.items] = 1


def gradients(P, Q, alpha0, regularization):
    """Of the loss, by each factor: half of what calculus gives, term by term."""
    R = P @ Q.T
    errors = X * (R - 1) + alpha0 * R
    n_u, n_i = X.sum(axis=1), X.sum(axis=0)
    return (
        errors @ Q + regularization * (n_u + alpha0 * 25)[:, None] * P,
        errors.T @ P + regularization * (n_i + alpha0 * 40)[:, None] * Q,
    )


def test_the_gradient_is_zero_at_the_end():
    alpha0, regularization = 0.3, 0.05
    first = scaled_als(TRAIN, dim=3, alpha0=alpha0, regularization=regularization, iterations=1)
    last = scaled_als(TRAIN, dim=3, alpha0=alpha0, regularization=regularization, iterations=500)
    sizes = [
        [np.abs(part).max() for part in gradients(np.float64(f.queries), np.float64(f.items), alpha0, regularization)]
        for f in (first, last)
    ]
    assert max(sizes[1]) < 1e-3 < 0.1 < max(sizes[0])
    assert np.abs(last.queries).max() > 0.1  # not the other place where it is zero


def test_the_seed_decides():
    first, again, other = (scaled_als(TRAIN, dim=4, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.queries, again.queries)
    assert (first.queries != other.queries).any()
