"""RNS-AS's rewards and their baseline. Its generator is tested in `test_generator`."""

import numpy as np
import tensorflow as tf
from toy import toy_interactions, toy_trainer

from gdns_tf.samplers.base import Scored

TRAIN = toy_interactions()  # 13 users


def test_the_baseline_is_the_mean_reward_of_the_epoch_before():
    trainer, batch = toy_trainer(TRAIN, "rns_as", batch_size=5)
    rng = np.random.default_rng(0)
    baseline, of_epoch = 0.0, []
    for step in range(9):
        scores = rng.normal(step / 3, 2.0, size=(5 if step % 3 < 2 else 3, 4))  # the last batch is smaller
        scored = Scored(
            batch._replace(step=tf.constant(step, tf.int64)),
            trainer.scorer,
            None,
            None,
            None,
            tf.constant(scores, tf.float32),
        )
        rewards = -1 / (1 + np.exp(scores))
        np.testing.assert_allclose(trainer.sampler.advantages(scored), rewards - baseline, rtol=1e-4, atol=1e-6)
        of_epoch.append(rewards)
        if step % 3 == 2:
            baseline, of_epoch = np.concatenate(of_epoch).mean(), []


def test_higher_scores_earn_more():
    trainer, batch = toy_trainer(TRAIN, "rns_as")
    scores = tf.repeat(tf.constant([[-2.0, -1.0, 0.0, 3.0]]), len(batch.users), axis=0)
    scored = Scored(batch, trainer.scorer, None, None, None, scores)
    assert (np.diff(trainer.sampler.advantages(scored).numpy(), axis=1) > 0.05).all()
