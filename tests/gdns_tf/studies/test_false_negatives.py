"""Planting false negatives, and the AUC of indicators against scikit-learn and brute force."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from gdns_tf.runs.callbacks import Validation
from gdns_tf.studies.false_negatives import BINS, Watch, auc, auc_within, move_positives, read
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.load import load_dataset

DATASET = load_dataset(DataConfig(planted_users=60, planted_items=200))


def test_one_item_of_each_user_moves():
    moved = move_positives(DATASET, seed=3)
    offsets, items = moved.false_negatives
    for user in range(DATASET.train.num_users):
        before, after = set(DATASET.train.of(user)), set(moved.train.of(user))
        gone = set(items[offsets[user] : offsets[user + 1]])
        assert len(gone) == 1
        assert after | gone == before
        assert not after & gone
    np.testing.assert_array_equal(moved.test.items, DATASET.test.items)
    np.testing.assert_array_equal(move_positives(DATASET, seed=3).false_negatives[1], items)
    assert (move_positives(DATASET, seed=4).false_negatives[1] != items).any()


def test_a_user_with_one_item_keeps_it():
    keep = np.ones(DATASET.train.num_interactions, bool)
    keep[1 : DATASET.train.counts[0]] = False  # user 0 is left with one
    thin = SimpleNamespace(**vars(DATASET))
    dataset = type(DATASET)(**(vars(thin) | {"train": DATASET.train.keep(keep)}))
    moved = move_positives(dataset, seed=0)
    assert moved.train.counts[0] == 1
    assert moved.false_negatives[0][1] == 0


def test_auc_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 70) + 1.0, rng.integers(0, 9, 200) * 1.0  # many ties
    expected = roc_auc_score(np.repeat([1, 0], [70, 200]), np.concatenate([a, b]))
    assert auc(a, b) == pytest.approx(expected)
    assert np.isnan(auc(a, b[:0]))


def test_auc_within_users_by_brute_force():
    rng = np.random.default_rng(1)
    users = rng.permutation(12)[:9]
    values = rng.integers(0, 5, 9) / 4
    negative_users = np.sort(rng.integers(0, 14, 60))
    negatives = rng.integers(0, 5, 60) / 4
    shares = []
    for user, value in zip(users, values, strict=True):
        mine = negatives[negative_users == user]
        if len(mine):
            shares.append(np.mean([1.0 if value > n else 0.5 if value == n else 0.0 for n in mine]))
    assert auc_within(values, users, negatives, negative_users) == pytest.approx(np.mean(shares))
    assert np.isnan(auc_within(values[:0], users[:0], negatives, negative_users))


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    moved = move_positives(DATASET, seed=0)
    config = TrainConfig(group_size=8, num_candidates=32, dim=4, batch_size=30, init_scale=0.3)
    trainer = build_trainer(moved.train, config)
    for batch in build_batches(moved.train, config).take(20):
        trainer.train_step(batch)
    watch = Watch(moved, folder)
    for epoch in (5, 10, 15, 10):  # killed after 15 and resumed from before 10
        watch.on_validation(SimpleNamespace(trainer=trainer), Validation(epoch, 0.0, 0.0, {}, 0.0))
    return moved, trainer, watch, read(folder / "indicators.npz")


def test_epochs_that_a_resumed_run_repeats_are_replaced(watched):
    assert watched[3]["epoch"].tolist() == [5, 10]


def test_indicators_by_hand(watched):
    moved, trainer, watch, rows = watched
    num_users, num_items = DATASET.train.num_users, DATASET.train.num_items
    table = trainer.sampler.table.cells.numpy().reshape(num_users, num_items, 2)
    false = [table[u, i] for u, i in enumerate(moved.false_negatives[1]) if (table[u, i] != 1).any()]
    assert 0 < len(false) < num_users
    assert rows["visited"][-1] == pytest.approx(len(false) / num_users)
    assert rows["mean_H_false"][-1] == pytest.approx(np.mean(false, axis=0)[0], rel=1e-5)
    assert rows["mean_G_false"][-1] == pytest.approx(np.mean(false, axis=0)[1], rel=1e-5)
    assert rows["histogram_G_false"][-1].sum() == len(false)
    assert rows["histogram_H_common"].shape == (2, BINS)
    # Common items are unobserved, and none is held out or moved.
    kept_out = np.stack([moved.valid.items, moved.test.items, moved.false_negatives[1]], axis=1)
    for user, item in zip(watch._common_users, watch._common_items, strict=True):
        assert item not in kept_out[user]
        assert item not in moved.train.of(user)
    P, Q, w = (v.numpy() for v in trainer.scorer.trainable_variables)
    visited = (table != 1).any(axis=2)
    score = (P * w) @ Q.T
    ours = [score[u, i] for u, i in enumerate(moved.false_negatives[1]) if visited[u, i]]
    theirs = [score[u, i] for u, i in zip(watch._common_users, watch._common_items, strict=True) if visited[u, i]]
    assert rows["auc_score"][-1] == pytest.approx(
        roc_auc_score(np.repeat([1, 0], [len(ours), len(theirs)]), ours + theirs), abs=1e-6
    )


def test_looking_changes_nothing(watched, tmp_path):
    moved, trainer, _, _ = watched
    before = [v.numpy() for v in [*trainer.scorer.trainable_variables, trainer.sampler.table.cells]]
    Watch(moved, tmp_path).on_validation(SimpleNamespace(trainer=trainer), Validation(1, 0.0, 0.0, {}, 0.0))
    after = [*trainer.scorer.trainable_variables, trainer.sampler.table.cells]
    assert all(tf.reduce_all(a == b) for a, b in zip(after, before, strict=True))
