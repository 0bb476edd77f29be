"""Metrics from ranks, against values worked out by hand and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from gdns_tf.evaluation import metrics


def test_values_by_hand():
    found = metrics.per_user(np.array([0, 1, 2, 9]), ks=(1, 3))
    assert found["ndcg@1"].tolist() == [1, 0, 0, 0]
    np.testing.assert_allclose(found["ndcg@3"], [1, 0.6309297535714575, 0.5, 0])  # 1 / log2(2, 3, 4)
    assert found["recall@3"].tolist() == found["hr@3"].tolist() == [1, 1, 1, 0]
    np.testing.assert_allclose(found["mrr"], [1, 1 / 2, 1 / 3, 1 / 10])
    assert set(found) == {"ndcg@1", "ndcg@3", "recall@1", "recall@3", "hr@1", "hr@3", "mrr"}


def test_means_average_over_users():
    assert metrics.means(np.array([0, 1, 2, 9]), ks=[3])["recall@3"] == 0.75


def test_ndcg_agrees_with_scikit_learn():
    scores = np.random.default_rng(0).normal(size=(50, 20))
    relevance = np.zeros((50, 20))
    relevance[:, 0] = 1
    ranks = (scores[:, 1:] > scores[:, :1]).sum(axis=1)
    for k in (1, 5, 20):
        expected = [ndcg_score(relevance[u : u + 1], scores[u : u + 1], k=k) for u in range(50)]
        np.testing.assert_allclose(metrics.per_user(ranks, [k])[f"ndcg@{k}"], expected)


def test_no_list_is_empty():
    with pytest.raises(ValueError, match="at least 1, is 0"):
        metrics.per_user(np.array([0]), ks=(3, 0))
