"""What each item of a history adds to a score, held against the score itself and against least squares by NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from gdns_tf.models.factors import Factors
from gdns_tf.models.history import History
from gdns_tf.models.svdpp import SvdPp
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.serving.in_memory import in_memory

USERS, ALL = [3, 41, 999], 1000
STRENGTHS = FoldIn(alpha=0.2, l2=0.7)


@pytest.fixture(scope="module")
def arrays(planted_dataset):
    rng, train = np.random.default_rng(0), planted_dataset.train
    A, Q = rng.normal(size=(2, train.num_items, 5)).astype(np.float32)
    P = rng.normal(size=(train.num_users, 5)).astype(np.float32)
    return {"A": A, "Q": Q, "P": P, "history_power": np.float32(0.6)}


def explained(factors, dataset, items, k=ALL):
    model = in_memory(factors, dataset, fold_in=STRENGTHS)
    asked = {"user_ids": tf.constant(USERS, tf.int64), "item_ids": tf.constant(items, tf.int64)}
    answer = model.signatures()["explain"](**asked, k=tf.constant([k]))
    scores = model.signatures()["rank"](**asked)["scores"]
    return {name: value.numpy() for name, value in answer.items()} | {"scores": scores.numpy()}


ITEMS = [[5, 17, 999, 3], [0, 149, 2, -1], [1, 2, 3, 4]]


def test_contributions_of_a_sum_are_its_terms_and_add_up_to_the_score(planted_dataset, arrays):
    seen = planted_dataset.all_interactions()
    factors = History.factors(arrays, seen)
    answer = explained(factors, planted_dataset, ITEMS)
    assert answer["known_user"].tolist() == [True, True, False]
    for row, user in enumerate(USERS[:2]):
        own = seen.of(user)
        for place, item in enumerate(ITEMS[row]):
            if not 0 <= item < seen.num_items:
                assert (answer["because_ids"][row, place] == -1).all()
                continue
            terms = {int(j): arrays["A"][j] @ arrays["Q"][item] / len(own) ** 0.6 for j in own}
            because = answer["because_ids"][row, place][: len(own)]
            adds = answer["contributions"][row, place][: len(own)]
            assert set(because.tolist()) == terms.keys()
            np.testing.assert_allclose(adds, [terms[int(j)] for j in because], rtol=1e-4, atol=1e-5)
            assert (np.diff(adds) <= 0).all()
            assert adds.sum() == pytest.approx(answer["scores"][row, place], rel=1e-4, abs=1e-4)
            assert answer["of_history"][row, place] == pytest.approx(answer["scores"][row, place], rel=1e-4, abs=1e-4)
    assert (answer["because_ids"][2] == -1).all()
    few = explained(factors, planted_dataset, ITEMS, k=2)
    np.testing.assert_array_equal(few["because_ids"], answer["because_ids"][:, :, :2])


def test_of_a_model_with_rows_too_the_history_adds_all_but_what_the_row_does(planted_dataset, arrays):
    answer = explained(SvdPp.factors(arrays, planted_dataset.all_interactions()), planted_dataset, ITEMS)
    for row, user in enumerate(USERS[:2]):
        of_row = arrays["Q"][ITEMS[row][:2]] @ arrays["P"][user]
        np.testing.assert_allclose(
            answer["scores"][row, :2] - answer["of_history"][row, :2], of_row, rtol=1e-3, atol=1e-4
        )


def test_other_models_are_explained_by_least_squares_with_one_item_wanted_at_a_time(planted_dataset, arrays):
    seen, Q = planted_dataset.all_interactions(), arrays["Q"].astype(np.float64)
    answer = explained(Factors(arrays["P"], arrays["Q"]), planted_dataset, ITEMS)
    for row, user in enumerate(USERS[:2]):
        own = seen.of(user)
        stacked = np.concatenate([Q[own], STRENGTHS.alpha**0.5 * Q, (STRENGTHS.l2 * np.mean(Q**2)) ** 0.5 * np.eye(5)])
        # The wish for score 1 of one of the user's items, and for 0 of the others: their queries sum to that of all.
        wanted = np.concatenate([np.eye(len(own)), np.zeros((len(Q) + 5, len(own)))])
        queries = np.linalg.lstsq(stacked, wanted)[0]
        adds = Q[ITEMS[row][0]] @ queries
        because = answer["because_ids"][row, 0][: len(own)].tolist()
        assert set(because) == set(own.tolist())
        place = {int(item): at for at, item in enumerate(own)}
        np.testing.assert_allclose(
            answer["contributions"][row, 0][: len(own)], adds[[place[item] for item in because]], atol=1e-5
        )
        assert answer["of_history"][row, 0] == pytest.approx(adds.sum(), abs=1e-5)


def test_cosines_are_those_of_weighted_factors(integer_model):
    model = in_memory(integer_model.factors, integer_model.dataset)
    items = [[3, 7, 20, 999], [5, -1, 0, 1]]
    found = model.signatures()["cosines"](item_ids=tf.constant(items, tf.int64))["cosines"].numpy()
    rows = integer_model.factors.items.astype(np.float64) * integer_model.factors.dimension_weights
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(found[0, :3, :3], unit[items[0][:3]] @ unit[items[0][:3]].T, atol=1e-5)
    assert found[0, 0, 1] == pytest.approx(1.0)
    assert not found[0, 3].any()
    assert not found[1, :, 1].any()
