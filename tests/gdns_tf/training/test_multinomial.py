"""Steps of the multinomial objective against NumPy, and Adam and the schedule against their formulas."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax
from toy import toy_interactions

from gdns_tf.training import multinomial
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.optimizers import Adam, rate_of_epoch
from gdns_tf.training.recipes import users_a_step
from pipelines.batches import user_batches
from pipelines.errors import InputError

TRAIN = toy_interactions()
MEAN = TRAIN.num_interactions / TRAIN.num_users
SETTINGS = {"objective": "multinomial", "dim": 5, "batch_size": 4, "init_scale": 0.5, "dropout": 0.0}


def regularisation(user_l2, num_users):
    """The factors of |item|^2 / 2 of each item, and of |user|^2 / 2, in a step of so many users."""
    shares = TRAIN.item_counts + TRAIN.num_interactions / TRAIN.num_items / 2
    return 2 * user_l2 / MEAN * num_users * shares / shares.sum(), user_l2 / MEAN * TRAIN.counts / MEAN


def history_oracle(A, Q, users, user_l2):
    """Mean loss of a user and the gradients of A and Q."""
    of_items, _ = regularisation(user_l2, len(users))
    losses, dA, dQ = [], of_items[:, None] * A, of_items[:, None] * Q
    for user in users:
        items = TRAIN.of(user)
        scale = len(items) ** -0.7
        query = scale * A[items].sum(axis=0)
        wanted = np.bincount(items, minlength=len(Q)) / len(items)
        losses.append(-(wanted * log_softmax(Q @ query)).sum())
        of_scores = len(items) / MEAN * (softmax(Q @ query) - wanted)
        dQ += np.outer(of_scores, query)
        dA[items] += scale * (of_scores @ Q)
    return np.mean(losses), dA, dQ


def gmf_oracle(P, Q, w, users, user_l2):
    of_items, of_users = regularisation(user_l2, len(users))
    losses, dP, dQ, dw = [], np.zeros_like(P), of_items[:, None] * Q, np.zeros_like(w)
    for user in users:
        items = TRAIN.of(user)
        wanted = np.bincount(items, minlength=len(Q)) / len(items)
        scores = Q @ (w * P[user])
        losses.append(-(wanted * log_softmax(scores)).sum())
        of_scores = len(items) / MEAN * (softmax(scores) - wanted)
        dQ += np.outer(of_scores, w * P[user])
        dP[user] += w * (of_scores @ Q) + of_users[user] * P[user]
        dw += P[user] * (of_scores @ Q)
    return np.mean(losses), dP, dQ, dw


@pytest.mark.parametrize(("scorer", "oracle"), [("history", history_oracle), ("gmf", gmf_oracle)])
def test_a_step_is_the_gradient_of_the_likelihood(scorer, oracle):
    settings = SETTINGS | {"scorer": scorer, "optimizer": "sgd", "learning_rate": 1.0, "user_l2": 0.8}
    settings |= {"history_dropout": 0.0} if scorer == "history" else {}
    config = TrainConfig.from_settings(**settings)
    trainer = build_trainer(TRAIN, config)
    for batch in build_batches(TRAIN, config).take(4):  # the last one is smaller
        before = [v.numpy().astype(np.float64) for v in trainer.trainable_variables]
        loss, *gradients = oracle(*before, batch["users"].numpy(), 0.8)
        trainer.reset_metrics()
        np.testing.assert_allclose(trainer.train_step(batch)["loss"], loss, rtol=1e-5)
        for old, variable, gradient in zip(before, trainer.trainable_variables, gradients, strict=True):
            np.testing.assert_allclose(old - variable.numpy(), gradient, rtol=2e-4, atol=2e-5)


def test_training_raises_the_likelihood_of_what_users_have():
    config = TrainConfig.from_settings(**SETTINGS, scorer="history", optimizer="adam", learning_rate=0.05, user_l2=0.0)
    trainer = build_trainer(TRAIN, config)
    train_epoch, batches = trainer.make_train_function(), iter(build_batches(TRAIN, config))
    losses = []
    for _ in range(60):
        trainer.reset_metrics()
        losses.append(float(train_epoch(batches)["loss"]))
    assert losses[-1] < losses[0] - 0.3


def test_users_come_in_the_order_of_the_other_pipeline():
    config = TrainConfig.from_settings(**SETTINGS, seed=5)
    pairs = user_batches(TRAIN, batch_size=4, group_size=2, num_candidates=3, seed=5, first_epoch=2)
    for ours, theirs in zip(build_batches(TRAIN, config, first_epoch=2).take(9), pairs, strict=False):
        np.testing.assert_array_equal(ours["users"], theirs["users"])
        assert int(ours["step"]) == int(theirs["step"])


def test_fused_adam_is_kerass_and_the_formula():
    start, rng = np.array([[1.0, -2.0, 0.3]], np.float32), np.random.default_rng(0)
    fused, plain = tf.Variable(start), tf.Variable(start)
    ours, theirs = (
        Adam(learning_rate=0.1, jit_compile=False),
        tf.keras.optimizers.Adam(0.1, beta_2=0.99, jit_compile=False),
    )
    x, m, v = start.astype(np.float64), 0.0, 0.0
    for step in range(1, 30):
        gradient = rng.normal(size=(1, 3))
        for optimizer, variable in ((ours, fused), (theirs, plain)):
            optimizer.apply_gradients([(tf.constant(gradient, tf.float32), variable)])
        m, v = 0.9 * m + 0.1 * gradient, 0.99 * v + 0.01 * gradient**2
        x = x - 0.1 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.99**step)) + 1e-7)
    np.testing.assert_allclose(fused, x, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fused, plain, rtol=1e-5, atol=1e-6)


def test_schedules():
    assert {rate_of_epoch(0.3, "constant", epoch, 40) for epoch in range(40)} == {0.3}
    rates = [rate_of_epoch(0.3, "cosine", epoch, 40) for epoch in range(40)]
    assert rates[0] == pytest.approx(0.3 * 0.25 * (1 + math.cos(math.pi / 80)) / 2)  # a quarter of the rise is done
    assert max(rates) == rates[2]
    assert rates[20] == pytest.approx(0.3 * 0.5 * (1 + math.cos(math.pi * 20.5 / 40)))
    assert 0 < rates[-1] < 0.001
    assert sorted(rates[2:], reverse=True) == rates[2:]


def test_another_length_of_a_cosine_is_another_run():
    cosine = TrainConfig(schedule="cosine", max_epochs=30)
    assert cosine.changes(TrainConfig(schedule="cosine", max_epochs=40)) == ["max_epochs"]
    assert TrainConfig(max_epochs=30).changes(TrainConfig(max_epochs=40)) == []


@pytest.mark.parametrize(("users", "expected"), [(1, 32), (1_600, 32), (6_028, 121), (37_501, 750), (10**7, 2**14)])
def test_an_epoch_has_about_fifty_steps_unless_told(users, expected):
    assert users_a_step(users) == expected


def test_the_rule_is_what_a_run_has():
    config = TrainConfig.from_settings()
    assert config.batch_size == 0
    assert config.setup(TRAIN).batch_size == 32
    assert [len(batch["users"]) for batch in build_batches(TRAIN, config).take(2)] == [13, 13]
    with pytest.raises(InputError, match="`batch_size`=-1"):
        TrainConfig.from_settings(batch_size=-1)


def test_a_large_catalogue_by_blocks_trains_the_same(monkeypatch):
    weights = []
    for cells in (2**24, 4 * 5):  # 5 items a block
        monkeypatch.setattr(multinomial, "CELLS", cells)
        config = TrainConfig.from_settings(**SETTINGS, scorer="history", optimizer="sgd", learning_rate=0.5)
        trainer = build_trainer(TRAIN, config)
        for batch in build_batches(TRAIN, config).take(4):
            trainer.train_step(batch)
        weights.append([v.numpy() for v in trainer.trainable_variables])
    for whole, blocks in zip(*weights, strict=True):
        np.testing.assert_allclose(whole, blocks, rtol=1e-4, atol=1e-5)
