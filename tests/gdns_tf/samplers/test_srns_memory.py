"""SRNS against a NumPy oracle that keeps whole models and explicit histories."""

import numpy as np
import pytest
import tensorflow as tf
from toy import toy_interactions

from gdns_tf.samplers.base import Batch, Scored
from gdns_tf.samplers.srns import HISTORY, Srns
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from pipelines.errors import InputError

TRAIN = toy_interactions(num_items=60)
CONFIG = TrainConfig.from_settings(
    sampler="srns",
    group_size=3,
    num_candidates=7,
    memory_size=6,
    deviation_weight=2.0,
    warmup_epochs=4,
    dim=4,
    batch_size=5,
    init_scale=0.7,
    learning_rate=0.3,
    uniform_epochs=0,
)
STEPS = 3


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_choices_over_eight_epochs():
    """More epochs than the history holds; the memories are taken over, their updates are tested below."""
    trainer = build_trainer(TRAIN, CONFIG)
    models = {}
    warm = 0
    for step, data in enumerate(build_batches(TRAIN, CONFIG).take(8 * STEPS)):
        epoch, batch = step // STEPS, trainer.batch(data)
        memory = trainer.sampler.memory.numpy()
        chosen = trainer.sampler.select(batch, trainer.scorer).negatives.numpy()
        P, Q, w = (v.numpy().astype(np.float64) for v in trainer.scorer.trainable_variables)
        for row, user in enumerate(batch.users.numpy()):
            items = memory[user] if memory[user][0] >= 0 else batch.candidates.numpy()[row][:6]
            assert (memory[user][0] >= 0) == (epoch > 0)
            positives = batch.positives.numpy()[row]

            def likelihood(query, Q, items=items, positives=positives):
                return sigmoid(Q[items] @ query - np.mean(Q[positives] @ query))

            past = [likelihood(models[e][0][user], models[e][1]) for e in range(max(0, epoch - HISTORY), epoch)]
            deviation = np.std(past, axis=0) if past else np.zeros(6)
            value = likelihood(P[user] * w, Q) + 2.0 * min(1, epoch / 4) * deviation
            best = sorted(range(6), key=lambda k: -value[k])
            if value[best[2]] - value[best[3]] > 1e-4:  # else rounding decides
                assert sorted(chosen[row]) == sorted(items[best[:3]])
                warm += epoch > HISTORY
        if step % STEPS == STEPS - 1:  # as of before the last gradient of the epoch
            models[epoch] = (P * w, Q)
        trainer.train_step(data)
    assert warm > 20


def scored(sampler, trainer, users, candidates, step=0):
    users, candidates = tf.constant(users, tf.int32), tf.constant(candidates, tf.int32)
    batch = Batch(users, candidates[:, :2], candidates, tf.constant(step, tf.int64), tf.constant([5, step], tf.int64))
    selection = sampler.select(batch, trainer.scorer)
    queries = trainer.scorer.queries(users)
    scores = trainer.scorer.scores(queries, selection.negatives)
    return Scored(batch, trainer.scorer, queries, selection, scores, scores)


def test_the_memory_is_redrawn_without_replacement_in_proportion_to_exp_score():
    """Of a pool of four items two stay: the chance of each pair by enumeration, over many users with one row of P."""
    users, temperature = 4000, 0.7
    train = toy_interactions(num_users=users, num_items=30)
    trainer = build_trainer(train, TrainConfig.from_settings(group_size=2, num_candidates=2, dim=3, init_scale=1.0))
    trainer.scorer.P.assign(tf.tile(trainer.scorer.P[:1], [users, 1]))
    sampler = Srns(users, 30, 3, 1, memory_size=2, temperature=temperature)
    sampler.memory.assign(tf.tile([[3, 9]], [users, 1]))
    sampler.update(scored(sampler, trainer, np.arange(users), np.tile([[12, 20]], (users, 1))))
    pool = np.array([3, 9, 12, 20])
    weights = np.exp(trainer.scorer((tf.constant([0]), pool[None])).numpy()[0].astype(np.float64) / temperature)
    share = weights / weights.sum()
    kept = np.sort(sampler.memory.numpy(), axis=1)
    for a in range(4):
        for b in range(a):
            expected = share[a] * share[b] * (1 / (1 - share[a]) + 1 / (1 - share[b]))
            found = np.mean((kept == sorted([pool[a], pool[b]])).all(axis=1))
            assert found == pytest.approx(expected, abs=4 * np.sqrt(expected / users))


def test_an_item_stands_in_a_memory_once():
    trainer = build_trainer(TRAIN, CONFIG)
    sampler = Srns(TRAIN.num_users, 60, 4, 1, memory_size=4)
    sampler.memory.assign(tf.tile([[1, 2, 3, 4]], [TRAIN.num_users, 1]))
    users = np.arange(TRAIN.num_users)
    sampler.update(scored(sampler, trainer, users, np.tile([[1, 2, 3, 5]], (len(users), 1))))
    assert all(len(set(row)) == 4 for row in sampler.memory.numpy())
    # With fewer different items than places it repeats rather than fails.
    sampler.update(scored(sampler, trainer, users, sampler.memory.numpy()))
    assert (sampler.memory.numpy() >= 0).all()


def test_a_memory_smaller_than_the_group_is_refused():
    with pytest.raises(InputError, match="`memory_size`=6 must be at least `group_size`=8"):
        build_trainer(TRAIN, TrainConfig.from_settings(sampler="srns", group_size=8, num_candidates=8, memory_size=6))
