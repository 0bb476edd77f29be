"""AOBPR: its draws against the probabilities that its docstring states."""

import numpy as np
import tensorflow as tf
from scipy.stats import chisquare
from toy import toy_interactions

from gdns_tf.samplers.aobpr import Aobpr
from gdns_tf.samplers.base import Scored, Selection
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig

TRAIN = toy_interactions()
DIM, COUNT, MEAN_RANK = 4, 4000, 5.0


def built(**changes):
    """A trainer with factors of some size, and a batch of all users."""
    settings = TrainConfig.from_settings(
        sampler="aobpr",
        dim=DIM,
        init_scale=1.0,
        group_size=COUNT,
        num_candidates=COUNT,
        batch_size=99,
        rank_scale=MEAN_RANK / TRAIN.num_items,
        **changes,
    )
    trainer = build_trainer(TRAIN, settings)
    # So that one factor outweighs the others by its spread alone, and none has mean 0.
    trainer.scorer.Q.assign(trainer.scorer.Q * [3.0, 1.0, 0.5, 1.0] + [9.0, 1.0, -1.0, 0.0])
    return trainer, trainer.batch(next(iter(build_batches(TRAIN, settings))))


def take_note(trainer, batch, step):
    batch = batch._replace(step=tf.constant(step, tf.int64))
    trainer.sampler.update(Scored(batch, trainer.scorer, None, Selection(batch.candidates), None, None))


def expected_of(user, scorer):
    P, Q, w = (variable.numpy().astype(float) for variable in (scorer.P, scorer.Q, scorer.w))
    query = P[user] * w
    by_factor = np.abs(query) * Q.std(axis=0)
    by_rank = np.exp(-np.arange(TRAIN.num_items) / MEAN_RANK)
    result = np.zeros(TRAIN.num_items)
    unobserved = np.ones(TRAIN.num_items)
    unobserved[TRAIN.of(user)] = 0
    for f in range(DIM):
        proposed = np.zeros(TRAIN.num_items)
        proposed[np.argsort(-np.sign(query[f]) * Q[:, f])] = by_rank / by_rank.sum()
        s = 1 - proposed @ unobserved
        result += by_factor[f] * unobserved * (proposed * (1 + s + s**2) + s**3 / unobserved.sum())
    return result / by_factor.sum()


def test_draws_have_the_stated_probabilities():
    trainer, batch = built()
    take_note(trainer, batch, 0)
    negatives = trainer.sampler.select(batch, trainer.scorer).negatives.numpy()
    for user, drawn in zip(batch.users.numpy(), negatives, strict=True):
        expected = expected_of(user, trainer.scorer)
        counts, pool = np.bincount(drawn, minlength=TRAIN.num_items), expected > 0
        assert not counts[~pool].any()
        assert chisquare(counts[pool], expected[pool] * COUNT).pvalue > 1e-4  # 13 users


def test_orders_are_taken_anew_when_it_is_time():
    trainer, batch = built()
    Q, sampler = trainer.scorer.Q, trainer.sampler
    sampler._steps_between_sorts = 3
    for step in range(7):
        Q.assign(tf.random.stateless_normal(Q.shape, [step, 0]))
        take_note(trainer, batch, step)
        latest = tf.random.stateless_normal(Q.shape, [step // 3 * 3, 0]).numpy()
        np.testing.assert_array_equal(sampler.orders.numpy(), np.argsort(-latest, axis=0).T)
        np.testing.assert_allclose(sampler.spreads.numpy(), latest.std(axis=0), rtol=1e-5)


def test_sorts_become_rare_as_items_become_many():
    settings = TrainConfig.from_settings(sampler="aobpr", group_size=2, batch_size=3)
    sampler = Aobpr.build(settings.sampler_config, settings.setup(TRAIN))
    assert sampler._steps_between_sorts == 10  # 19 ln 19 = 55.9 draws, 6 a step
    settings = TrainConfig.from_settings(sampler="aobpr")
    assert Aobpr.build(settings.sampler_config, settings.setup(TRAIN))._steps_between_sorts == 8


def test_ranks_stay_within_the_items():
    sampler = built()[0].sampler
    uniform = tf.constant([0.0, 0.5, 1 - 2**-24, 1.0])
    for sampler._mean_rank in (1e-3, 1.0, 1e6):
        ranks = sampler._ranks(uniform).numpy()
        assert ranks.min() == 0
        assert ranks.max() < TRAIN.num_items


def test_the_seed_decides():
    trainer, batch = built()
    draw = trainer.sampler.select
    one, again = (draw(batch, trainer.scorer).negatives.numpy() for _ in range(2))
    other = draw(batch._replace(seed=batch.seed + 1), trainer.scorer).negatives.numpy()
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
