"""A step on a batch that brings its histories along, against the same step with all of them in memory."""

import numpy as np
import pytest
import tensorflow as tf
from streamed import SPLIT, streamed_at

from gdns_tf.models.batch_histories import BatchHistories, BatchMasses
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from pipelines.draws import Masses
from pipelines.errors import InputError

SETTINGS = {"group_size": 4, "num_candidates": 8, "dim": 4, "batch_size": 25, "init_scale": 0.3}
KINDS = {
    "pairs": {"sampler": "gdns"},
    "pairs of a scorer by history": {"sampler": "dns", "scorer": "svdpp"},
    "multinomial": {},
    "sampled softmax": {"objective": "sampled_softmax", "sampler": "nncf", "scorer": "history", "uniform_epochs": 1},
    "shared negatives": {
        "objective": "sampled_softmax",
        "sampler": "uniform",
        "scorer": "history",
        "shared_negatives": True,
    },
}


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    return streamed_at(tmp_path_factory.mktemp("data")).train


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_that_of_data_in_memory(train, kind):
    config = TrainConfig.from_settings(**SETTINGS | KINDS[kind])
    batches = list(build_batches(train, config).take(2))
    weights = []
    for data in (train, SPLIT.train):
        trainer = build_trainer(data, config)
        for batch in batches:
            known = batch if data is train else {n: value for n, value in batch.items() if n != "histories"}
            loss = trainer.train_step(known)["loss"]
        weights.append([variable.numpy() for variable in trainer.scorer.trainable_variables])
        assert np.isfinite(loss)
    for streamed, in_memory in zip(*weights, strict=True):
        np.testing.assert_allclose(streamed, in_memory, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("weights", [None, np.arange(150) % 4])
def test_how_often_a_candidate_was_expected(train, weights):
    config = TrainConfig.from_settings(**SETTINGS, sampler="uniform")
    batch = next(iter(build_batches(train, config)))
    histories = BatchHistories(train)
    histories.take(batch)
    drawn = tf.where(batch["candidates"] % 4 == 0, batch["candidates"] // 4 * 4 + 1, batch["candidates"])
    found = BatchMasses(train, histories, weights).log_expected(batch["users"], drawn, 8)
    expected = Masses(SPLIT.train, weights).log_expected(batch["users"], drawn, 8)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_histories_of_others_than_the_users_of_the_batch_are_refused(train):
    histories = BatchHistories(train)
    batch = {"users": tf.constant([1, 2]), "histories": tf.ragged.constant([[3], [4, 5]], tf.int32)}
    histories.take(batch)
    row_of, items = histories.of(batch["users"])
    assert row_of.numpy().tolist() == [0, 1, 1]
    assert items.numpy().tolist() == [3, 4, 5]
    assert histories.counts(batch["users"]).numpy().tolist() == [1, 2]
    with pytest.raises(InputError, match="not those of the batch"):
        histories.of(tf.constant([1, 2]))
