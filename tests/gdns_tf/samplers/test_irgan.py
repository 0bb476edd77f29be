"""IRGAN's rewards, and its signal. Its generator is tested in `test_generator`."""

import numpy as np
import pytest
import tensorflow as tf
from toy import toy_interactions, toy_trainer

from gdns_tf.samplers.base import Scored

TRAIN = toy_interactions()


def test_rewards_by_hand():
    trainer, batch = toy_trainer(TRAIN, "irgan")
    scores = np.array([[0.0, np.log(3.0), -np.log(3.0)], [np.log(3.0), np.log(3.0), 0.0]], np.float32)
    scored = Scored(batch, trainer.scorer, None, None, None, tf.constant(scores))
    # sigmoid(log 3) = 3/4, so the rewards are 0, 1/2, -1/2 and 1/2, 1/2, 0.
    expected = [[0.0, 0.5, -0.5], [1 / 6, 1 / 6, -1 / 3]]
    np.testing.assert_allclose(trainer.sampler.advantages(scored), expected, atol=1e-6)


def test_a_step_of_training_teaches_the_generator():
    trainer, batch = toy_trainer(TRAIN, "irgan", generator_rate=0.05)
    twin, _ = toy_trainer(TRAIN, "irgan", generator_rate=0.05)
    before = trainer.sampler.generator.Q.numpy()
    queries = trainer.scorer.queries(batch.users)
    selection = trainer.sampler.select(batch, trainer.scorer)
    rewards = np.tanh(trainer.scorer.scores(queries, selection.negatives).numpy() / 2)  # 2 (sigmoid(x) - 1/2)
    advantages = rewards - rewards.mean(axis=1, keepdims=True)
    twin.sampler.generator.learn(batch, selection, tf.constant(advantages))

    data = {"users": batch.users, "positives": batch.positives, "candidates": batch.candidates, "step": batch.step}
    trainer.train_step(data)
    for ours, theirs in zip(trainer.sampler.variables, twin.sampler.variables, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-6)
    assert np.abs(trainer.sampler.generator.Q.numpy() - before).max() > 1e-3


@pytest.mark.parametrize(("bias", "expected"), [(0.0, 1.0), (100.0, 1 / 12), (np.log(5.5), None)])
def test_perplexity(bias, expected):
    trainer, batch = toy_trainer(TRAIN, "irgan", temperature=1.0)
    generator = trainer.sampler.generator
    candidates = tf.repeat(tf.range(12)[None], len(batch.users), axis=0)
    generator.Q.assign(tf.pad(tf.fill([1, 1], tf.constant(bias, tf.float32)), [[3, 15], [5, 0]]))  # of item 3
    if expected is None:
        p = np.array([5.5, *[1.0] * 11]) / 16.5
        expected = np.exp(-(p * np.log(p)).sum()) / 12
    shown = trainer.sampler.diagnostics(batch._replace(candidates=candidates))["generator_perplexity"]
    np.testing.assert_allclose(shown, expected, rtol=1e-5)
