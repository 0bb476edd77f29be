"""Coverage, concentration, novelty and popularity, counted one by one."""

import math

import numpy as np
import pytest
from toy import toy_interactions

from gdns_tf.evaluation.beyond_accuracy import beyond_accuracy, gini

TRAIN = toy_interactions(num_users=20, num_items=30)


def test_against_counting_one_by_one():
    rng = np.random.default_rng(0)
    lists = np.array([rng.permutation(15)[:4] for _ in range(20)])
    lists[3, 2:] = -1  # a user with two items left
    found = beyond_accuracy(lists, TRAIN)
    shown = [item for row in lists.tolist() for item in row if item != -1]
    owners = [sum(item in TRAIN.of(user) for user in range(20)) for item in range(30)]
    assert found == {
        "coverage@4": pytest.approx(len(set(shown)) / 30),
        "gini@4": pytest.approx(gini_by_pairs([shown.count(item) for item in range(30)])),
        "novelty@4": pytest.approx(sum(-math.log2(max(owners[item], 1) / 20) for item in shown) / len(shown)),
        "popularity@4": pytest.approx(sum(owners[item] for item in shown) / 20 / len(shown)),
    }


def gini_by_pairs(values):
    """The definition: mean absolute difference of all pairs over twice the mean."""
    n = len(values)
    return sum(abs(a - b) for a in values for b in values) / n**2 / (2 * sum(values) / n)


def test_gini_of_the_extremes():
    assert gini(np.full(8, 3)) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 5])) == pytest.approx(0.75)  # 1 - 1 / n
