"""MixGCF: the mixtures by their factors, which the sampler never builds."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import kstest
from toy import scores_of, toy_interactions, toy_trainer

from gdns_tf.models.losses import Softplus
from gdns_tf.samplers.base import Scored

TRAIN = toy_interactions()


def mixtures(trainer, batch, share):
    """[batch, M / N, N, dim] factors of each positive's mixtures, and their scores."""
    P, Q, w = (variable.numpy() for variable in (trainer.scorer.P, trainer.scorer.Q, trainer.scorer.w))
    candidates = batch.candidates.numpy().reshape(len(share), -1, batch.group_size)
    share = share[:, None, :, None]
    mixed = share * Q[batch.positives.numpy()][:, None] + (1 - share) * Q[candidates]
    return mixed, mixed @ (w * P[batch.users.numpy()])[:, None, :, None], candidates


@pytest.mark.parametrize("pairing", ["group", "pair"])
def test_the_hardest_mixture_enters_the_loss(pairing):
    trainer, batch = toy_trainer(TRAIN, "mixgcf")
    loss, scorer = Softplus(0.3, pairing), trainer.scorer
    selection = trainer.sampler.select(batch, scorer)
    share = selection.memo[0].numpy()
    _, scores, candidates = mixtures(trainer, batch, share)
    hardest = np.argmax(scores[..., 0], axis=1)[:, None]
    np.testing.assert_array_equal(selection.negatives, np.take_along_axis(candidates, hardest, 1)[:, 0])

    positives = scores_of(scorer, batch.users, batch.positives)
    expected = loss(
        tf.constant(positives), tf.constant(np.take_along_axis(scores[..., 0], hardest, 1)[:, 0], tf.float64)
    )
    negatives = scores_of(scorer, batch.users, selection.negatives)
    scored = Scored(
        batch, scorer, None, selection, tf.constant(positives, tf.float32), tf.constant(negatives, tf.float32)
    )
    np.testing.assert_allclose(trainer.sampler.losses(scored, loss), expected, rtol=1e-4)


def test_the_mixture_pulls_at_both_items():
    trainer, batch = toy_trainer(TRAIN, "mixgcf")
    selection = trainer.sampler.select(batch, trainer.scorer)
    share = selection.memo[0].numpy()
    positives, negatives = tf.zeros([TRAIN.num_users, 4]), tf.ones([TRAIN.num_users, 4])
    with tf.GradientTape() as tape:
        tape.watch([positives, negatives])
        scored = Scored(batch, trainer.scorer, None, selection, positives, negatives)
        losses = trainer.sampler.losses(scored, Softplus(0.0, "pair"))
    of_positives, of_negatives = tape.gradient(losses, [positives, negatives])
    slope = 1 / (1 + np.exp(-(1 - share)))
    np.testing.assert_allclose(of_negatives, slope * (1 - share), rtol=1e-5)
    np.testing.assert_allclose(of_positives, -slope * (1 - share), rtol=1e-5, atol=1e-7)


def test_shares_are_uniform_and_follow_the_seed():
    trainer, batch = toy_trainer(TRAIN, "mixgcf", group_size=300, num_candidates=300)
    shares = [
        trainer.sampler.select(batch._replace(seed=seed), trainer.scorer).memo[0].numpy()
        for seed in (batch.seed, batch.seed, batch.seed + 1)
    ]
    assert kstest(shares[0].ravel(), "uniform").pvalue > 1e-3
    np.testing.assert_array_equal(shares[0], shares[1])
    assert (shares[0] != shares[2]).any()


def test_every_positive_has_as_many_candidates():
    assert toy_trainer(TRAIN, "mixgcf", num_candidates=11)[1].candidates.shape[1] == 8
