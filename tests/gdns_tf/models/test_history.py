"""The history encoder against its definition, in loops."""

import numpy as np
import pytest
import tensorflow as tf
from toy import toy_interactions

from gdns_tf.models.histories import Histories, sum_by_row
from gdns_tf.models.history import History
from gdns_tf.training.build import build_trainer
from gdns_tf.training.config import TrainConfig
from pipelines.errors import InputError

TRAIN = toy_interactions()
EVERYONE = tf.range(TRAIN.num_users)


def test_histories_are_those_of_the_data():
    users = np.array([5, 0, 12, 5], np.int32)
    row_of, items = (part.numpy() for part in Histories(TRAIN).of(tf.constant(users)))
    for row, user in enumerate(users):
        assert items[row_of == row].tolist() == TRAIN.of(user).tolist()


def test_sums_and_their_gradient_are_the_loop():
    table = tf.Variable(tf.random.stateless_normal([19, 20], [0, 1]))  # more columns than a block of the product
    row_of, items = Histories(TRAIN).of(EVERYONE)
    factors, upstream = tf.random.stateless_normal([len(items)], [0, 2]), tf.random.stateless_normal([13, 20], [0, 3])
    with tf.GradientTape() as tape:
        sums = sum_by_row(table, row_of, items, factors)
        total = tf.reduce_sum(upstream * sums)
    expected, gradient = np.zeros((13, 20)), np.zeros((19, 20))
    for row, item, factor in zip(row_of.numpy(), items.numpy(), factors.numpy(), strict=True):
        expected[row] += factor * table.numpy()[item]
        gradient[item] += factor * upstream.numpy()[row]
    np.testing.assert_allclose(sums, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(tape.gradient(total, table), gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_a_user_is_the_sum_of_their_items(power):
    scorer = History(Histories(TRAIN), 4, power=power, init_scale=1.0)
    A, Q = scorer.A.numpy().astype(float), scorer.Q.numpy().astype(float)
    queries = np.array([A[TRAIN.of(user)].sum(axis=0) / len(TRAIN.of(user)) ** power for user in range(13)])
    np.testing.assert_allclose(scorer.queries(EVERYONE), queries, rtol=1e-4, atol=1e-5)
    everything = tf.tile(tf.range(19)[None], [13, 1])
    np.testing.assert_allclose(scorer((EVERYONE, everything)), queries @ Q.T, rtol=1e-4, atol=1e-4)
    factors = History.factors(scorer.arrays(), TRAIN)
    np.testing.assert_allclose(factors.queries @ factors.items.T, queries @ Q.T, rtol=1e-4, atol=1e-4)


def test_some_items_are_hidden_in_training_but_never_all():
    scorer = History(Histories(TRAIN), 19, power=0.0, history_dropout=0.6, init_scale=1.0)
    scorer.A.assign(tf.eye(19))  # a query then tells which items were kept
    kept = np.stack([scorer.queries(EVERYONE, 0.0, tf.constant([7, step], tf.int64)).numpy() for step in range(400)])
    full = scorer.queries(EVERYONE).numpy()
    assert set(np.unique(kept)) == {0.0, 1.0}
    assert (kept <= full).all()
    assert (kept.sum(axis=2) >= 1).all()
    long = TRAIN.counts >= 8  # where one that must stay hardly matters
    share = kept[:, long].sum() / (400 * full[long].sum())
    assert share == pytest.approx(0.4, abs=0.02)
    assert (kept[0] != kept[1]).any()
    np.testing.assert_array_equal(kept[3], scorer.queries(EVERYONE, 0.0, tf.constant([7, 3], tf.int64)))


def test_users_without_an_item_are_refused():
    keep = np.ones(TRAIN.num_interactions, bool)
    keep[TRAIN.offsets[3] : TRAIN.offsets[4]] = False
    with pytest.raises(InputError, match="user 3 has no item in training, and so have 0 others"):
        Histories(TRAIN.keep(keep))


def test_xla_is_refused():
    for settings in ({}, {"scorer": "gmf", "objective": "multinomial"}, {"scorer": "history", "sampler": "gdns"}):
        with pytest.raises(InputError, match="`jit_compile`=True does not go with"):
            build_trainer(TRAIN, TrainConfig.from_settings(jit_compile=True, **settings))


def test_no_table_of_users():
    scorer = History(Histories(TRAIN), 4)
    assert {tuple(v.shape) for v in scorer.trainable_variables} == {(19, 4)}


def test_settings_that_cannot_work_are_refused():
    for settings in ({"history_power": 1.5}, {"history_dropout": 1.0}, {"history_dropout": -0.1}):
        with pytest.raises(InputError, match=f"`{next(iter(settings))}`"):
            TrainConfig.from_settings(scorer="history", **settings)
