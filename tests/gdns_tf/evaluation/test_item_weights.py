"""Models by weights between items rank as the same scores do that are spelt out."""

import numpy as np
import pytest
from one_each import full_ranks, sampled_ranks
from scipy import sparse
from toy import toy_interactions

from gdns_tf.evaluation import ranking, top_items
from gdns_tf.evaluation.baselines.matrix import as_matrix
from gdns_tf.evaluation.item_weights import ItemWeights

TRAIN = toy_interactions(num_users=30, num_items=40)
MASKED = [(TRAIN.offsets, TRAIN.items)]
RNG = np.random.default_rng(0)
TARGETS = RNG.integers(0, 40, 30)
NEGATIVES = RNG.integers(0, 40, (30, 12))


def model_of(weights, kind=np.asarray):
    return ItemWeights(as_matrix(TRAIN), kind(weights.astype(np.float32)))


@pytest.fixture(params=[np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
def model(request):
    weights = RNG.integers(-2, 3, (40, 40))  # many ties, and sums without rounding
    weights[:, 7] = weights[:, 3]
    return model_of(weights, request.param)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    for module in (ranking, top_items):
        monkeypatch.setattr(module, "_LARGE", 90)


@pytest.mark.parametrize("ties", ["pessimistic", "optimistic"])
def test_ranks_are_those_of_the_scores(model, ties):
    scores = model.histories.toarray() @ np.asarray(sparse.csr_matrix(model.weights).todense())
    sampled, full = sampled_ranks(model, TARGETS, NEGATIVES, ties), full_ranks(model, TARGETS, MASKED, ties)
    for user, target in enumerate(TARGETS):
        stands_above = (
            scores[user] >= scores[user, target] if ties == "pessimistic" else (scores[user] > scores[user, target])
        )
        assert sampled[user] == stands_above[NEGATIVES[user]].sum()
        others = np.setdiff1d(np.arange(40), [*TRAIN.of(user), target])
        assert full[user] == stands_above[others].sum()


def test_equal_weights_are_ties_whatever_the_rounding():
    weights = RNG.normal(size=(40, 40))
    weights[:, 1::2] = weights[:, ::2]
    for kind in (np.asarray, sparse.csr_matrix):
        scores = model_of(weights, kind).scores(slice(0, 30))
        np.testing.assert_array_equal(scores[:, 1::2], scores[:, ::2])


def test_what_is_no_number_takes_last_place():
    weights = np.ones((40, 40))
    weights[:, 5] = np.nan
    model, targets = model_of(weights), np.full(30, 9)
    without = np.where(NEGATIVES == 5, 6, NEGATIVES)
    assert (sampled_ranks(model, targets, without, "optimistic") == 0).all()
    with_it = without.copy()
    with_it[:, 0] = 5
    assert (sampled_ranks(model, targets, with_it) == 12).all()
    assert (sampled_ranks(model, np.full(30, 5), without) == 12).all()
    assert (full_ranks(model, targets) == 39).all()
    assert (top_items.top_items(model, TRAIN, range(30), 40) != 5).all()


def test_top_items_are_those_of_a_plain_sort(model):
    users = [4, 0, 29]
    for user, items in zip(users, top_items.top_items(model, TRAIN, users, 6), strict=True):
        scores = model.scores(np.array([user]))[0]
        unseen = [item for item in range(40) if item not in set(TRAIN.of(user))]
        assert items.tolist() == sorted(unseen, key=lambda item: (-scores[item], item))[:6]


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\[3, 3\] do not fit 40 items"):
        model_of(np.ones((3, 3)))
