"""AHNS: for each positive the candidate of the hardness it asks for."""

import numpy as np
import pytest
import tensorflow as tf
from toy import scores_of, toy_interactions, toy_trainer

from pipelines.errors import InputError

TRAIN = toy_interactions()


@pytest.mark.parametrize(("alpha", "beta", "power"), [(1.0, 0.1, -2.0), (0.8, 0.5, -3.7), (2.0, 0.4, 0.5)])
def test_takes_the_candidate_nearest_to_the_formula(alpha, beta, power):
    trainer, batch = toy_trainer(TRAIN, "ahns", ahns_alpha=alpha, ahns_beta=beta, ahns_power=power)
    negatives = trainer.sampler.select(batch, trainer.scorer).negatives.numpy()
    positives = scores_of(trainer.scorer, batch.users, batch.positives)
    scores = scores_of(trainer.scorer, batch.users, batch.candidates)
    below = 0
    for row, chosen in enumerate(negatives):
        for k in range(4):
            base = positives[row, k] + alpha
            if base > 0:
                j = np.argmin(np.abs(scores[row, k::4] - beta * base ** (power + 1)))
            else:  # the limit from above
                j = np.argmax(scores[row, k::4]) if power < -1 else np.argmin(np.abs(scores[row, k::4]))
            below += base <= 0
            assert chosen[k] == batch.candidates[row, k::4][j]
    assert 0 < below < negatives.size / 2


def test_higher_scored_positives_get_easier_negatives():
    trainer, batch = toy_trainer(TRAIN, "ahns")
    alike = tf.repeat(batch.candidates[:, ::4], 4, axis=1)  # for each positive
    negatives = trainer.sampler.select(batch._replace(candidates=alike), trainer.scorer).negatives
    positives = scores_of(trainer.scorer, batch.users, batch.positives)
    hardness = scores_of(trainer.scorer, batch.users, negatives)
    ordered = np.take_along_axis(hardness, np.argsort(positives, axis=1), axis=1)
    assert (np.diff(ordered) <= 1e-6).all()
    assert (np.diff(ordered) < 0).any()


def test_no_hardness_is_refused():
    with pytest.raises(InputError, match="`ahns_beta`=0"):
        toy_trainer(TRAIN, "ahns", ahns_beta=0.0)
