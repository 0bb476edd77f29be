"""Coverage, concentration, novelty and popularity, counted one by one."""

import math

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity
from toy import toy_interactions

from gdns_tf.evaluation import beyond_accuracy as module
from gdns_tf.evaluation.baselines import popularity
from gdns_tf.evaluation.beyond_accuracy import (
    beyond_accuracy,
    beyond_accuracy_of,
    gini,
    intra_list_similarity,
    list_users,
)
from pipelines.split import by_ratio

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
        "similarity@4": pytest.approx(np.mean([mean_cosine(row[row >= 0]) for row in lists])),
    }


def mean_cosine(items):
    """Of all pairs of a list, by scikit-learn."""
    has = np.zeros((20, 30))
    has[TRAIN.users, TRAIN.items] = 1
    return cosine_similarity(has[:, items].T)[np.triu_indices(len(items), 1)].mean()


@pytest.mark.parametrize("size", [1, 10**6])
def test_likeness_within_lists_whatever_the_blocks(monkeypatch, size):
    monkeypatch.setattr(module, "_LARGE", size)
    rng = np.random.default_rng(1)
    lists = np.array([rng.permutation(30)[:5] for _ in range(12)])
    lists[0, 1:] = lists[1] = -1  # one item, and none: no pairs
    nobody = TRAIN.keep(TRAIN.items != lists[2, 0])
    has = np.zeros((20, 30))
    has[nobody.users, nobody.items] = 1
    pairs = np.triu_indices(5, 1)
    expected = np.mean([cosine_similarity(has[:, row].T)[pairs].mean() for row in lists[2:]])
    assert intra_list_similarity(lists, nobody) == pytest.approx(expected)
    assert intra_list_similarity(lists[:2], nobody) is None
    assert "similarity@1" not in beyond_accuracy(lists[:, :1], nobody)


def test_likeness_of_some_lists_where_their_items_have_too_many_owners(monkeypatch):
    lists = np.array([np.random.default_rng(row).permutation(30)[:5] for row in range(13)])
    of_all = [mean_cosine(row) for row in lists]
    owners = TRAIN.item_counts[lists].sum()
    for most, looked_at in ((owners, range(13)), (owners * 0.4, [0, 3, 6, 9, 12]), (1, [0])):
        monkeypatch.setattr(module, "MOST_OWNERS", most)
        assert intra_list_similarity(lists, TRAIN) == pytest.approx(np.mean([of_all[row] for row in looked_at]))


def gini_by_pairs(values):
    """The definition: mean absolute difference of all pairs over twice the mean."""
    n = len(values)
    return sum(abs(a - b) for a in values for b in values) / n**2 / (2 * sum(values) / n)


def test_gini_of_the_extremes():
    assert gini(np.full(8, 3)) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 5])) == pytest.approx(0.75)  # 1 - 1 / n


def test_lists_leave_out_what_users_had_before_and_are_of_so_many_users(monkeypatch):
    split = by_ratio("made", toy_interactions(num_users=25, num_items=260, fewest=10), 0.2, 0.2, seed=0)
    by_count = np.argsort(-split.train.item_counts, kind="stable")
    monkeypatch.setattr(module, "MOST_LISTS", 7)
    users = list_users(split, "test")
    assert users.tolist() == [0, 4, 8, 12, 16, 20, 24]
    for part in ("valid", "test"):
        lists = []
        for user in users:
            had = {*split.train.of(user), *(split.valid.of(user) if part == "test" else ())}
            lists.append([item for item in by_count if item not in had][:6])
        expected = beyond_accuracy(np.array(lists), split.train)
        assert beyond_accuracy_of(popularity(split.train), split, part, 6) == expected
