"""Which candidates GDNS takes: its negatives against probabilities worked out by hand, for tables of all kinds."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import binom
from toy import toy_interactions

from gdns_tf.samplers.base import Batch
from gdns_tf.training.build import build_trainer
from gdns_tf.training.config import TrainConfig

TRAIN = toy_interactions(num_users=5)
N, M, DRAWS, SLOTS = 3, 8, 4000, 7
H, G = 0, 1


def expected_counts(values):
    """How many of each of a user's unobserved items to expect among the negatives, by the items' values.

    Of M candidates drawn uniformly among `u` items, those of the r highest-valued items number Binomial(M, r / u), and
    as many of them as there is room for are taken. Items of equal value share what falls to them.
    """

    def taken(r):
        k = np.arange(M + 1)
        return binom.pmf(k, M, r / len(values)) @ np.minimum(k, N)

    higher, as_high = ((values[None] > values[:, None]).sum(1), (values[None] >= values[:, None]).sum(1))
    return np.array([(taken(b) - taken(a)) / (b - a) for a, b in zip(higher, as_high, strict=True)])


def negatives_of(sampler, scorer, user, rng):
    unobserved = np.setdiff1d(np.arange(TRAIN.num_items), TRAIN.of(user))
    batch = Batch(
        users=tf.fill([DRAWS], user),
        positives=tf.zeros([DRAWS, N], tf.int32),
        candidates=tf.constant(rng.choice(unobserved, [DRAWS, M]), tf.int32),
        step=tf.constant(0, tf.int64),
        seed=tf.constant([0, 0], tf.int64),
    )
    negatives = sampler.select(batch, scorer).negatives.numpy()
    counts = (negatives[:, :, None] == unobserved).sum(axis=1)  # [draw, item]
    return unobserved, counts


@pytest.mark.parametrize(("name", "indicator"), [("gdns", G), ("gdns_without_g", H)])
@pytest.mark.parametrize("slots", [0, SLOTS])
@pytest.mark.parametrize("touched", [0.0, 0.6, 1.0])
def test_negatives_have_the_probabilities_of_the_top_of_a_draw(name, indicator, slots, touched):
    rng = np.random.default_rng(1)
    config = TrainConfig.from_settings(sampler=name, group_size=N, num_candidates=M, gain_slots=slots, dim=2)
    trainer = build_trainer(TRAIN, config)
    # H lies in (0, 1); G may lie on either side of the 1 that untouched items have.
    table = np.ones([TRAIN.num_users, TRAIN.num_items, 2])
    for user in range(TRAIN.num_users):
        items = np.flatnonzero(rng.random(TRAIN.num_items) < touched)
        if slots:  # of items that share a slot only the last one is remembered
            items = np.array(list({item % slots: item for item in items.tolist()}.values()), int)
        values = np.stack([rng.random(len(items)), 2 * rng.random(len(items))], axis=1)
        table[user, items] = values
        trainer.sampler.table.write(
            tf.constant([user]), tf.constant(items[None], tf.int32), tf.constant(values[None], tf.float32)
        )
    for user in range(TRAIN.num_users):
        unobserved, counts = negatives_of(trainer.sampler, trainer.scorer, user, rng)
        expected = expected_counts(table[user, unobserved, indicator])
        assert expected.sum() == pytest.approx(N)
        error = counts.std(axis=0) / np.sqrt(DRAWS)
        np.testing.assert_array_less(np.abs(counts.mean(axis=0) - expected), 4.5 * error + 1e-3)


def test_uniform_takes_the_first_candidates():
    trainer = build_trainer(TRAIN, TrainConfig.from_settings(sampler="uniform", group_size=N, dim=2))
    _, counts = negatives_of(trainer.sampler, trainer.scorer, 0, np.random.default_rng(2))
    error = counts.std(axis=0) / np.sqrt(DRAWS)
    np.testing.assert_array_less(np.abs(counts.mean(axis=0) - N / counts.shape[1]), 4.5 * error)
