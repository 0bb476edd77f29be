"""Metrics from ranks, against values worked out by hand and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from gdns_tf.evaluation import metrics
from gdns_tf.evaluation.metrics import Ranks

ONE_EACH = Ranks.one_each(np.array([0, 1, 2, 9]))


def test_values_by_hand():
    found = metrics.per_user(ONE_EACH, ks=(1, 3))
    assert found["ndcg@1"].tolist() == [1, 0, 0, 0]
    np.testing.assert_allclose(found["ndcg@3"], [1, 0.6309297535714575, 0.5, 0])  # 1 / log2(2, 3, 4)
    assert found["recall@3"].tolist() == [1, 1, 1, 0]
    np.testing.assert_allclose(found["mrr"], [1, 1 / 2, 1 / 3, 1 / 10])


def test_what_says_the_same_twice_is_not_told_but_can_be_asked_for():
    assert list(metrics.per_user(ONE_EACH, ks=(1, 3))) == ["ndcg@1", "ndcg@3", "recall@1", "recall@3", "mrr"]
    assert metrics.of_users("hr@3", ONE_EACH).tolist() == metrics.of_users("recall@3", ONE_EACH).tolist()
    np.testing.assert_allclose(metrics.of_users("precision@3", ONE_EACH), [1 / 3, 1 / 3, 1 / 3, 0])
    np.testing.assert_allclose(metrics.of_users("map@3", ONE_EACH), [1, 1 / 2, 1 / 3, 0])


def test_several_by_hand():
    # Of the first user's three, places 0, 3 and 7; of the second's one, place 1; of the third's two, 4 and 5.
    ranks = Ranks(np.array([0, 3, 7, 1, 4, 5]), np.array([0, 3, 4, 6]))
    found = metrics.per_user(ranks, ks=(2, 4))
    assert list(found) == [*(f"{n}@{k}" for n in ("ndcg", "recall", "precision", "map", "hr") for k in (2, 4)), "mrr"]
    np.testing.assert_allclose(found["recall@4"], [2 / 3, 1, 0])
    np.testing.assert_allclose(found["precision@4"], [2 / 4, 1 / 4, 0])
    np.testing.assert_allclose(found["map@4"], [(1 / 1 + 2 / 4) / 3, 1 / 2, 0])
    np.testing.assert_allclose(found["map@2"], [(1 / 1) / 2, 1 / 2, 0])
    assert found["hr@2"].tolist() == [1, 1, 0]
    np.testing.assert_allclose(found["mrr"], [1, 1 / 2, 1 / 5])
    third, second = 1 / np.log2(4), 1 / np.log2(3)
    np.testing.assert_allclose(found["ndcg@4"], [(1 + 1 / np.log2(5)) / (1 + second + third), second, 0])
    np.testing.assert_allclose(found["ndcg@2"], [1 / (1 + second), second, 0])


def test_means_average_over_users():
    assert metrics.means(ONE_EACH, ks=[3])["recall@3"] == 0.75


def test_places_come_of_how_many_irrelevant_stand_above():
    # A list of r r i i r i: the relevant ones have none, none and two irrelevant ones above them.
    assert Ranks.above(np.array([2, 0, 0, 1]), np.array([0, 3, 4])).places.tolist() == [0, 1, 4, 1]


@pytest.mark.parametrize("most", [1, 6])
def test_they_agree_with_scikit_learn(most):
    rng = np.random.default_rng(most)
    scores, relevance = rng.normal(size=(50, 20)), np.zeros((50, 20))
    for user in range(50):
        relevance[user, rng.permutation(20)[: rng.integers(1, most + 1)]] = 1
    order = np.argsort(-scores, axis=1)
    users, places = np.nonzero(np.take_along_axis(relevance, order, axis=1))
    ranks = Ranks(places, np.concatenate([[0], np.cumsum(np.bincount(users))]))
    for k in (1, 5, 20):
        expected = [ndcg_score(relevance[u : u + 1], scores[u : u + 1], k=k) for u in range(50)]
        np.testing.assert_allclose(metrics.of_users(f"ndcg@{k}", ranks), expected)
    expected = [average_precision_score(relevance[u], scores[u]) for u in range(50)]
    np.testing.assert_allclose(metrics.of_users("map@20", ranks), expected)


def test_no_list_is_empty():
    with pytest.raises(ValueError, match="at least 1, is 0"):
        metrics.per_user(ONE_EACH, ks=(3, 0))
