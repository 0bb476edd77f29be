"""iALS against the normal equations that it must solve."""

import numpy as np
import pytest
from toy import toy_interactions

from gdns_tf.evaluation.baselines import implicit_als
from gdns_tf.evaluation.ranking import evaluate
from pipelines.config import DataConfig
from pipelines.load import load_dataset

TRAIN = toy_interactions(num_users=40, num_items=25)


def test_als_ends_where_users_solve_their_normal_equations():
    """The last half-sweep is that of the items: each q_i is the ridge regression on the users, in closed form."""
    alpha, regularization = 3.0, 2.0
    factors = implicit_als(TRAIN, dim=4, regularization=regularization, alpha=alpha, iterations=5)
    P = factors.queries.astype(np.float64)
    observed = np.zeros((40, 25))
    observed[TRAIN.users, TRAIN.items] = 1
    for item in range(25):
        confidence = np.where(observed[:, item] > 0, alpha, 1.0)
        gram = (P.T * confidence) @ P + regularization * np.eye(4)
        solution = np.linalg.solve(gram, P.T @ (confidence * observed[:, item]))
        np.testing.assert_allclose(factors.items[item], solution, rtol=2e-3, atol=2e-4)


def test_als_is_reproducible():
    first, again, other = (implicit_als(TRAIN, dim=4, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.queries, again.queries)
    assert (first.queries != other.queries).any()


def test_als_on_movielens(shared_data):
    """An independent implementation (../shared/DESIGN.md, section 3) reaches .312 on test."""
    dataset = load_dataset(DataConfig(dataset="srns", data_dir=str(shared_data / "srns/ml1m")))
    factors = implicit_als(dataset.train, regularization=10, alpha=8)
    assert evaluate(factors, dataset, split="test").means()["ndcg@3"] == pytest.approx(0.312, abs=0.004)
