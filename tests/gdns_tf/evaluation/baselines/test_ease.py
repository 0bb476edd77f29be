"""EASE against the regressions that it solves all at once."""

import numpy as np
from toy import toy_interactions

from gdns_tf.evaluation.baselines import ease

TRAIN = toy_interactions(num_users=60, num_items=25)
X = np.zeros((60, 25))
X[TRAIN.users, TRAIN.items] = 1


def test_each_column_is_the_ridge_regression_of_its_item_on_all_others():
    model = ease(TRAIN, regularization=3.0)
    for j in range(25):
        others = np.delete(np.arange(25), j)
        A = X[:, others]
        expected = np.linalg.solve(A.T @ A + 3 * np.eye(24), A.T @ X[:, j])
        np.testing.assert_allclose(model.weights[others, j], expected, atol=1e-4)
        assert model.weights[j, j] == 0
    np.testing.assert_allclose(model.scores(slice(2, 5)), X[2:5] @ model.weights, atol=1e-5)
