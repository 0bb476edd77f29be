"""Blocks of rows and of columns change no answer: against NumPy's stable sort, and against a user at a time."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from gdns_tf.models.factors import Factors, HistorySum
from gdns_tf.serving import blocks, eligible, model, tables
from gdns_tf.serving import top_k as two_stages
from gdns_tf.serving.blocks import best_columns, in_row_blocks
from gdns_tf.serving.in_memory import in_memory
from gdns_tf.serving.top_k import top_k

LOWEST, PADDING_SCORE = -np.inf, np.finfo(np.float32).min


@pytest.mark.parametrize(
    ("rows", "n", "k", "m"), [(5, 999, 7, 300), (1, 33, 40, 60), (4, 4096, 10, 9000), (3, 20_001, 100, 3000)]
)
@pytest.mark.parametrize("levels", [2, 10**6])
@pytest.mark.parametrize("short", [0, 2**15])
def test_what_is_never_found_counts_as_lowest(monkeypatch, rows, n, k, m, levels, short):
    monkeypatch.setattr(two_stages, "_SHORT", short)
    rng = np.random.default_rng(n + levels)
    scores = rng.integers(0, levels, (rows, n)).astype(np.float32)
    never = np.stack([rng.integers(0, rows, m), rng.integers(0, n, m)], axis=1)
    lowered = scores.copy()
    lowered[never[:, 0], never[:, 1]] = LOWEST
    order = np.argsort(-lowered, axis=1, kind="stable")[:, :k]
    for wanted in (k, tf.constant(k)):
        values, columns = top_k(tf.constant(scores), wanted, tf.constant(never))
        np.testing.assert_array_equal(columns, order)
        np.testing.assert_array_equal(values, np.take_along_axis(lowered, order, axis=1))


@pytest.mark.parametrize("known", [True, False])
def test_columns_in_blocks_are_as_all_at_once(monkeypatch, known):
    monkeypatch.setattr(blocks, "FLOATS", 200)
    monkeypatch.setattr(blocks, "_COLUMNS", 9)
    rng = np.random.default_rng(0)
    for rows, n, k in ((3, 70, 5), (1, 500, 300), (2, 10, 10), (5, 300, 61)):
        scores = rng.integers(0, 20, (rows, n)).astype(np.float32)
        never = np.stack([rng.integers(0, rows, n), rng.integers(0, n, n)], axis=1)
        asked = []

        def between(first, end, scores=scores, asked=asked):
            asked.append(1)
            return tf.constant(scores)[:, first:end]

        size = n if known else tf.constant(n)
        values, columns = best_columns(between, tf.constant(rows), size, tf.constant(k), tf.constant(never))
        scores[never[:, 0], never[:, 1]] = LOWEST
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        expected = np.take_along_axis(scores, order, axis=1)
        np.testing.assert_array_equal(values, expected)
        np.testing.assert_array_equal(np.where(expected > LOWEST, columns, -1), np.where(expected > LOWEST, order, -1))
        assert len(asked) > 1 or rows * n <= 200


def test_rows_in_blocks_are_all_there_in_their_order():
    table = np.arange(60).reshape(20, 3)
    for batch in (0, 1, 6, 7, 20):
        for rows in (1, 3, 7, 100):
            most = []

            def of_rows(first, end, most=most):
                most.append(int(end - first))
                return [tf.constant(table)[first:end], tf.constant(table)[first:end, 0]]

            specs = [tf.TensorSpec([None, 3], tf.int64), tf.TensorSpec([None], tf.int64)]
            whole, first_column = in_row_blocks(of_rows, tf.constant(batch), tf.constant(rows), specs)
            np.testing.assert_array_equal(whole, table[:batch])
            np.testing.assert_array_equal(first_column, table[:batch, 0])
            assert max(most) <= rows
            assert len(most) == max(1, -(-batch // rows))


@pytest.fixture
def small_blocks(monkeypatch):
    """Makes everything go in several blocks, that has more than a few numbers; to be called before a model is made."""

    def set_sizes():
        for module, name, value in (
            (two_stages, "_SHORT", 0),
            (blocks, "FLOATS", 700),
            (blocks, "_COLUMNS", 40),
            (tables, "FLOATS", 1),
            (eligible, "_MASK_FROM", 20),
            (model, "_EXPLAINED", 4),
        ):
            monkeypatch.setattr(module, name, value)

    return set_sizes


def requests(rng, num_users, num_items):
    """Signature -> requests of ids, of which some are unknown or padding."""
    users = rng.integers(-1, num_users + 1, 23)

    def items(*shape):
        return rng.integers(-1, num_items + 2, shape)

    def retrieve(exclude, restrict, k=(9,), seen=(True,)):
        return {
            "user_ids": users,
            "k": np.int32(k),
            "exclude_seen": np.array(seen),
            "exclude_ids": exclude,
            "restrict_to": restrict,
        }

    none, padding = np.zeros((1, 0), int), np.full((1, 3), -1)
    some = items(23, 60)
    some[::4] = -1  # rows that restrict nothing
    return {
        "serving_default": [{"user_ids": users}, {"user_ids": users[:1]}],
        "retrieve": [
            retrieve(none, none),
            retrieve(items(1, 70), none),
            retrieve(items(23, 70), none, rng.integers(-1, 200, 23), rng.random(23) < 0.5),
            retrieve(none, items(1, 70), (200,)),
            retrieve(items(1, 50), items(1, 70)),
            retrieve(items(23, 50), items(1, 7), (12,)),
            retrieve(items(1, 50), some, seen=(False,)),
            retrieve(padding, padding),
            retrieve(none, np.full((1, 2), num_items + 5)),
        ],
        "rank": [{"user_ids": users, "item_ids": items(23, 11)}],
        "similar_items": [{"item_ids": items(23), "k": np.int32([8])}],
        "retrieve_by_history": [{"history": items(23, 12), "k": rng.integers(0, 9, 23).astype(np.int32)}],
        "explain": [{"user_ids": users, "item_ids": items(23, 11), "k": np.int32([4])}],
        "cosines": [{"item_ids": items(4, 5)}],
    }


def answers_of(factors, dataset, asked):
    """The answers of a model that is made now, to requests by signature."""
    functions = in_memory(factors, dataset, k=6).signatures()
    return {
        name: [{key: out.numpy() for key, out in functions[name](**inputs).items()} for inputs in requests]
        for name, requests in asked.items()
    }


def tensors(requests):
    return [{key: tf.constant(value) for key, value in inputs.items()} for inputs in requests]


@pytest.mark.parametrize("encodes", [True, False])
def test_a_model_in_small_blocks_answers_as_one_in_large_blocks(small_blocks, planted_dataset, encodes):
    rng, train = np.random.default_rng(1), planted_dataset.train
    arrays = rng.normal(size=(3, max(train.num_users, train.num_items), 4)).astype(np.float32)
    factors = Factors(arrays[0][: train.num_users], arrays[1][: train.num_items])
    if encodes:
        factors = replace(factors, encoder=HistorySum(arrays[2][: train.num_items], 0.7))
    asked = requests(rng, train.num_users, train.num_items)
    names = ("serving_default", "rank", "similar_items", "retrieve_by_history", "explain", "cosines")
    # Those that ask nothing of a history are the same for both kinds of model.
    asked = {name: tensors(asked[name]) for name in (names if encodes else names[3:5])}
    expected = answers_of(factors, planted_dataset, asked)
    small_blocks()
    found = answers_of(factors, planted_dataset, asked)
    for name, answers in expected.items():
        for place, answer in enumerate(answers):
            for key, out in answer.items():
                close = {"rtol": 0, "atol": 2e-6 * (out.dtype == np.float32)}
                np.testing.assert_allclose(found[name][place][key], out, err_msg=f"{name} {place}: {key}", **close)


def test_lists_in_small_blocks_are_a_sort_of_what_is_eligible(small_blocks, planted_dataset):
    """By small whole numbers, whose products float32 holds exactly and of which many are equal."""
    rng, train = np.random.default_rng(2), planted_dataset.train
    factors = Factors(rng.integers(-3, 4, (train.num_users, 4)), rng.integers(-3, 4, (train.num_items, 4)))
    asked = {"retrieve": tensors(requests(rng, train.num_users, train.num_items)["retrieve"])}
    small_blocks()
    check_lists(answers_of(factors, planted_dataset, asked)["retrieve"], asked["retrieve"], factors, planted_dataset)


def check_lists(answers, asked, factors, dataset):
    """Each row of `retrieve` against a sort of what is eligible."""
    seen, counts = dataset.all_interactions(), dataset.train.item_counts
    num_users, num_items = factors.num_users, factors.num_items
    for answer, request in zip(answers, asked, strict=True):
        inputs = {name: value.numpy() for name, value in request.items()}
        batch = len(inputs["user_ids"])
        rows = {name: np.broadcast_to(value, (batch, *value.shape[1:])) for name, value in inputs.items()}
        for row, user in enumerate(rows["user_ids"]):
            known = 0 <= user < num_users
            scores = factors.items @ factors.queries[user] if known else counts
            eligible = np.ones(num_items, bool)
            if (given := rows["restrict_to"][row] != -1).any():
                eligible = np.isin(np.arange(num_items), rows["restrict_to"][row][given])
            eligible &= ~np.isin(np.arange(num_items), rows["exclude_ids"][row])
            if known and rows["exclude_seen"][row]:
                eligible[seen.of(user)] = False
            order = [item for item in np.argsort(-scores, kind="stable") if eligible[item]][: max(rows["k"][row], 0)]
            width = answer["item_ids"].shape[1]
            assert answer["item_ids"][row].tolist() == order + [-1] * (width - len(order))
            expected = [float(scores[item]) for item in order] + [PADDING_SCORE] * (width - len(order))
            assert answer["scores"][row].tolist() == expected
            assert answer["known_user"][row] == known
