"""DNS: the highest-scored candidates."""

import numpy as np
from toy import scores_of, toy_interactions, toy_trainer

TRAIN = toy_interactions()


def test_takes_the_highest_scored():
    trainer, batch = toy_trainer(TRAIN, "dns", dropout=0.5)  # which does not change the choice
    negatives = trainer.sampler.select(batch, trainer.scorer).negatives.numpy()
    candidates = batch.candidates.numpy()
    scores = scores_of(trainer.scorer, batch.users, candidates)
    for row, chosen in enumerate(negatives):
        expected = candidates[row][np.argsort(-scores[row])[:4]]
        np.testing.assert_array_equal(np.sort(chosen), np.sort(expected))


def test_follows_the_model():
    trainer, batch = toy_trainer(TRAIN, "dns")
    before = trainer.sampler.select(batch, trainer.scorer).negatives.numpy()
    trainer.scorer.w.assign(-trainer.scorer.w)
    after = trainer.sampler.select(batch, trainer.scorer).negatives.numpy()
    assert (np.sort(before) != np.sort(after)).any(axis=1).all()
