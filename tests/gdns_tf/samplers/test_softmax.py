"""Softmax-v: the weights, the weighted loss and its gradient, by hand."""

import numpy as np
import pytest
import tensorflow as tf
from toy import toy_interactions, toy_trainer

from gdns_tf.models.losses import SquaredHinge
from gdns_tf.samplers.base import Scored, Selection
from gdns_tf.samplers.softmax import Softmax

TRAIN = toy_interactions()
POSITIVES = np.array([[0.3, -0.2, 0.9], [1.0, 2.0, 0.0]])
NEGATIVES = np.array([[0.1, 0.5, -0.4], [2.0, -1.0, 0.5]])


def weights_of(scores, rho):
    temperature = np.sqrt(scores.var() / (2 * rho))
    weights = np.exp(scores / temperature)
    return len(scores) * weights / weights.sum()


def losses_of(sampler, positives, negatives, pairing):
    scored = Scored(None, None, None, Selection(None), positives, negatives)
    return sampler.losses(scored, SquaredHinge(0.7, pairing))


@pytest.mark.parametrize("pairing", ["group", "pair"])
@pytest.mark.parametrize("rho", [0.1, 2.0])
def test_losses_and_gradients(pairing, rho):
    positives, negatives = (tf.constant(scores, tf.float32) for scores in (POSITIVES, NEGATIVES))
    with tf.GradientTape() as tape:
        tape.watch(negatives)
        losses = losses_of(Softmax(rho), positives, negatives, pairing)
    gradients = tape.gradient(losses, negatives)
    for user in range(2):
        loss, slopes = 0.0, np.zeros(3)
        weights = weights_of(NEGATIVES[user], rho)
        for k in range(3):
            for j in range(3):
                if pairing == "group" or j == k:
                    short = max(0, NEGATIVES[user, j] - POSITIVES[user, k] + 0.7)
                    loss += weights[j] * 0.5 * short**2
                    slopes[j] += weights[j] * short  # the weights are constants
        np.testing.assert_allclose(losses[user], loss, rtol=1e-5)
        np.testing.assert_allclose(gradients[user], slopes, rtol=1e-5, atol=1e-7)


def test_weights_do_not_depend_on_the_scale_of_the_scores():
    sampler = Softmax(0.5)
    weights = sampler.weights(tf.constant(NEGATIVES)).numpy()
    np.testing.assert_allclose(weights.mean(axis=1), 1)
    for scale in (1e-7, 1e4):
        np.testing.assert_allclose(sampler.weights(tf.constant(scale * NEGATIVES + 3 * scale)), weights)


def test_equal_scores_weigh_the_same():
    assert (Softmax(0.5).weights(tf.zeros([2, 3])).numpy() == 1).all()


def test_the_flag_reaches_the_weights():
    scores = tf.constant(NEGATIVES, tf.float32)
    for rho in (0.1, 2.0):
        trainer, _ = toy_trainer(TRAIN, "softmax", radius=rho)
        np.testing.assert_allclose(trainer.sampler.weights(scores), Softmax(rho).weights(scores))
