"""ENMF's closed form against brute force over the whole user-item matrix."""

import numpy as np
import pytest
import tensorflow as tf
from toy import PAPER, toy_interactions

from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig

TRAIN = toy_interactions()
C0 = 0.3


@pytest.fixture
def trainer():
    return build_trainer(
        TRAIN,
        TrainConfig.from_settings(
            sampler="enmf", negative_weight=C0, group_size=3, dim=5, batch_size=5, init_scale=0.7, learning_rate=1.0,
            optimizer="sgd", **PAPER,
        ),
    )  # fmt: skip


def brute_force(trainer, users):
    """Each user's weighted squared error over all items, less the constant, and the gradients of their sum."""
    P, Q, w = (tf.constant(v.numpy(), tf.float64) for v in trainer.scorer.trainable_variables)
    observed = np.zeros((TRAIN.num_users, TRAIN.num_items))
    observed[TRAIN.users, TRAIN.items] = 1
    with tf.GradientTape() as tape:
        tape.watch([P, Q, w])
        scores = tf.matmul(P * w, Q, transpose_b=True)
        errors = tf.square(observed - scores) * np.where(observed > 0, 1, C0)
        losses = tf.gather(tf.reduce_sum(errors, axis=1) - observed.sum(axis=1), users)
        total = tf.reduce_sum(losses)
    return losses.numpy(), [g.numpy() for g in map(tf.convert_to_tensor, tape.gradient(total, [P, Q, w]))]


def test_loss_and_gradients(trainer):
    batch = next(
        iter(build_batches(TRAIN, TrainConfig.from_settings(sampler="enmf", group_size=3, batch_size=5, **PAPER)))
    )
    before = [v.numpy() for v in trainer.scorer.trainable_variables]
    losses, gradients = brute_force(trainer, batch["users"])
    reported = trainer.train_step(batch)["loss"]
    assert float(reported) == pytest.approx(losses.mean() / 9, rel=1e-4)  # the trainer shows it per pair of the groups
    for variable, old, gradient in zip(trainer.scorer.trainable_variables, before, gradients, strict=True):
        np.testing.assert_allclose(old - variable.numpy(), gradient, rtol=1e-4, atol=1e-4)
