"""AutoGraph goes over a step where a user's own part may need it, and over nothing of ours."""

import pytest
import tensorflow as tf
from toy import PAPER, toy_interactions

from gdns_tf.models.gmf import GMF
from gdns_tf.models.registry import SCORERS
from gdns_tf.samplers.base import Sampler, Selection
from gdns_tf.samplers.registry import SAMPLERS
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.conversion import needs_autograph

TRAIN = toy_interactions()


class FirstOrLast(Sampler):
    """Chooses the last candidates in steps of odd numbers."""

    def select(self, batch, scorer):
        if batch.step % 2 == 0:
            chosen = batch.candidates[:, : batch.group_size]
        else:
            chosen = batch.candidates[:, -batch.group_size :]
        return Selection(chosen)


class OwnScorer(GMF):
    """As GMF."""


@pytest.mark.parametrize("sampler", [name for name, cls in SAMPLERS.items() if not cls.requires])
def test_no_sampler_of_ours_needs_it(sampler):
    assert not needs_autograph(build_trainer(TRAIN, TrainConfig.from_settings(sampler=sampler, dim=4)))


@pytest.mark.parametrize("scorer", SCORERS)
def test_no_scorer_of_ours_needs_it(scorer):
    assert not needs_autograph(build_trainer(TRAIN, TrainConfig.from_settings(scorer=scorer, dim=4)))


def test_a_scorer_of_a_users_own_needs_it():
    trainer = build_trainer(TRAIN, TrainConfig.from_settings(dim=4))
    assert not needs_autograph(trainer)
    trainer.scorer.__class__ = OwnScorer
    assert needs_autograph(trainer)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_sampler_of_a_users_own_may_say_if_of_a_tensor(compiled):
    settings = {"sampler": FirstOrLast(), "group_size": 2, "num_candidates": 6, "batch_size": 4, "dim": 4}
    config = TrainConfig.from_settings(**(PAPER | settings), jit_compile=compiled)
    trainer = build_trainer(TRAIN, config)
    assert needs_autograph(trainer)
    assert float(trainer.make_train_function()(iter(build_batches(TRAIN, config)))["loss"]) > 0
    even, odd = [trainer.batch(batch) for batch in build_batches(TRAIN, config).take(2)]
    choose = tf.function(trainer.sampler.select)
    assert (choose(even, trainer.scorer).negatives.numpy() == even.candidates[:, :2].numpy()).all()
    assert (choose(odd, trainer.scorer).negatives.numpy() == odd.candidates[:, -2:].numpy()).all()
