"""The adversarial samplers' generator: draws and policy gradient against NumPy, learning, save and restore."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax
from scipy.stats import chisquare
from toy import scores_of, toy_interactions, toy_trainer

from gdns_tf.samplers.base import Batch, Scored
from gdns_tf.samplers.generator import ENTROPY, INITIAL_ACCUMULATOR, Generator

TRAIN = toy_interactions()
SAMPLERS = ["irgan", "rns_as", "advir"]


def factors(seed=0):
    """P [13, 5], and Q [19, 6], of which the last column is the bias."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(13, 5)).astype(np.float32), rng.normal(size=(19, 6)).astype(np.float32)


def make_generator(**options):
    generator = Generator(13, 19, 5, **options)
    for variable, values in zip((generator.P, generator.Q), factors(), strict=True):
        variable.assign(values)
    return generator


def make_batch(users, group_size=3, num_candidates=7, seed=0):
    rng = np.random.default_rng(seed)
    candidates = [rng.permutation(19)[:num_candidates] for _ in users]
    return Batch(
        users=tf.constant(users, tf.int32),
        positives=tf.zeros([len(users), group_size], tf.int32),
        candidates=tf.constant(candidates, tf.int32),
        step=tf.constant(seed, tf.int64),
        seed=tf.constant([5, seed], tf.int64),
    )


def probabilities_of(P, Q, batch, temperature):
    P, Q = P.astype(np.float64), Q.astype(np.float64)
    users, candidates = batch.users.numpy(), batch.candidates.numpy()
    logits = [Q[row, :-1] @ P[user] + Q[row, -1] for user, row in zip(users, candidates, strict=True)]
    return softmax(np.array(logits) / temperature, axis=1)


@pytest.mark.parametrize("temperature", [0.7, 3.0])
def test_draws_follow_the_softmax(temperature):
    generator, batch = make_generator(temperature=temperature), make_batch([2, 9, 12], group_size=5000)
    expected = probabilities_of(*factors(), batch, temperature)
    np.testing.assert_allclose(generator.probabilities(batch), expected, rtol=1e-5)
    selection = generator.draw(batch)
    places = selection.memo[0].numpy()
    np.testing.assert_array_equal(np.take_along_axis(batch.candidates.numpy(), places, 1), selection.negatives)
    for drawn, probabilities in zip(places, expected, strict=True):
        assert chisquare(np.bincount(drawn, minlength=7), 5000 * probabilities).pvalue > 1e-4
        # Pairs of neighbours, which would betray draws that depend on one another.
        pairs = np.bincount(7 * drawn[::2] + drawn[1::2], minlength=49)
        assert chisquare(pairs, 2500 * np.outer(probabilities, probabilities).ravel()).pvalue > 1e-4


def test_draws_follow_the_seed():
    generator, batch = make_generator(), make_batch([2, 9, 12], group_size=50)
    first, again = (generator.draw(batch).negatives.numpy() for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = generator.draw(batch._replace(seed=batch.seed + 1)).negatives.numpy()
    assert 0.1 < (first == other).mean() < 0.8


def test_candidates_without_a_chance_are_never_drawn():
    generator, batch = make_generator(), make_batch([0, 1], group_size=2000)
    generator.Q.assign(tf.concat([tf.zeros([19, 5]), tf.where(tf.range(19)[:, None] % 2 == 0, 0.0, -200.0)], axis=1))
    drawn = generator.draw(batch).negatives.numpy()
    for row, candidates in zip(drawn, batch.candidates.numpy(), strict=True):
        assert set(row) == {item for item in candidates if item % 2 == 0}


def objective(P, Q, batch, places, advantages, temperature):
    logs = np.log(probabilities_of(P, Q, batch, temperature))
    entropy = -(np.exp(logs) * logs).sum(axis=1)
    rewarded = (advantages * np.take_along_axis(logs, places, axis=1)).mean(axis=1)
    return (rewarded + ENTROPY * temperature * entropy).sum()


def numeric_gradients(P, Q, *args, h=1e-5):
    """Central differences of `objective` for P and Q."""
    P, Q = P.astype(np.float64), Q.astype(np.float64)
    gradients = np.zeros_like(P), np.zeros_like(Q)
    for values, gradient in zip((P, Q), gradients, strict=True):
        for at in np.ndindex(values.shape):
            before = values[at]
            values[at] = before + h
            above = objective(P, Q, *args)
            values[at] = before - h
            gradient[at] = (above - objective(P, Q, *args)) / (2 * h)
            values[at] = before
    return gradients


@pytest.mark.parametrize("compiled", [False, True])
def test_learns_by_the_policy_gradient(compiled):
    rate, temperature = 0.3, 1.7
    generator = make_generator(rate=rate, temperature=temperature, compiled=compiled)
    expected = [values.astype(np.float64) for values in factors()]
    squares = [np.full(values.shape, INITIAL_ACCUMULATOR) for values in expected]
    for step, users in enumerate([[2, 9, 12, 0], [5, 9, 3], [0, 9, 12, 7]]):
        batch = make_batch(users, seed=step)
        advantages = np.random.default_rng(step).normal(size=(len(users), 3))
        selection = generator.draw(batch)
        generator.learn(batch, selection, tf.constant(advantages, tf.float32))
        places = selection.memo[0].numpy()
        gradients = numeric_gradients(*expected, batch, places, advantages, temperature)
        for values, total, gradient in zip(expected, squares, gradients, strict=True):
            assert np.abs(gradient).max() > 0.05
            total += gradient**2
            values += rate * gradient / np.sqrt(total)
    variables = generator.P, generator.Q, generator.squares_of_P, generator.squares_of_Q
    for variable, values in zip(variables, [*expected, *squares], strict=True):
        np.testing.assert_allclose(variable.numpy(), values, rtol=2e-4, atol=2e-5)
    np.testing.assert_array_equal(generator.P.numpy()[[1, 4, 6]], factors()[0][[1, 4, 6]])  # not in any batch


def scored_by(scorer, batch, selection):
    """The step of a trainer, without dropout."""
    queries = scorer.queries(batch.users)
    return Scored(
        batch,
        scorer,
        queries,
        selection,
        scorer.scores(queries, batch.positives),
        scorer.scores(queries, selection.negatives),
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_learns_to_draw_what_a_model_scores_highly(sampler):
    # The temperature is low for the entropy to weigh little.
    trainer, batch = toy_trainer(TRAIN, sampler, generator_rate=0.05, temperature=0.2)
    sampler, scorer = trainer.sampler, trainer.scorer
    scores = scores_of(scorer, batch.users, batch.candidates)
    before = (sampler.generator.probabilities(batch).numpy() * scores).sum(axis=1)

    @tf.function(autograph=False)
    def step(seed):
        drawn_for = batch._replace(seed=tf.stack([seed, 1]), step=seed)
        sampler.update(scored_by(scorer, drawn_for, sampler.select(drawn_for, scorer)))

    for seed in range(150):
        step(tf.constant(seed, tf.int64))
    after = (sampler.generator.probabilities(batch).numpy() * scores).sum(axis=1)
    gained = (after - before) / (scores.max(axis=1) - before)
    assert np.median(gained) > 0.5, gained
    assert gained.min() > 0, gained


def test_fixed_rewards_end_at_their_softmax():
    """With a factor for each user, and all items for candidates, any distribution can be learnt."""
    users, items, temperature = 2, 5, 0.8
    generator = Generator(users, items, 8, rate=0.2, temperature=temperature)
    rewards = tf.constant(np.random.default_rng(0).uniform(-0.6, 0.6, [users, items]), tf.float32)

    @tf.function(autograph=False)
    def step(seed):
        batch = Batch(
            users=tf.range(users),
            positives=tf.zeros([users, 400], tf.int32),
            candidates=tf.repeat(tf.range(items)[None], users, axis=0),
            step=seed,
            seed=tf.stack([seed, 1]),
        )
        selection = generator.draw(batch)
        got = tf.gather(rewards, selection.negatives, batch_dims=1)
        generator.learn(batch, selection, got - tf.reduce_mean(got, axis=1, keepdims=True))
        return generator.probabilities(batch)

    last = [step(tf.constant(seed, tf.int64)).numpy() for seed in range(1000)][-200:]
    expected = softmax(rewards.numpy() / (ENTROPY * temperature), axis=1)
    np.testing.assert_allclose(np.mean(last, axis=0), expected, atol=0.03)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_goes_on_alike_after_a_restore(sampler, tmp_path):
    def epochs(trainer, steps):
        for seed in range(*steps):
            trained_on = batch._replace(seed=tf.constant([seed, 1], tf.int64), step=tf.constant(seed, tf.int64))
            selection = trainer.sampler.select(trained_on, trainer.scorer)
            trainer.sampler.update(scored_by(trainer.scorer, trained_on, selection))
        return [variable.numpy() for variable in trainer.sampler.variables]

    # Three steps an epoch, so that the restore falls into the middle of one.
    trainer, batch = toy_trainer(TRAIN, sampler, batch_size=5)
    epochs(trainer, (0, 4))
    path = tf.train.Checkpoint(sampler=trainer.sampler).save(tmp_path / "checkpoint")
    expected = epochs(trainer, (4, 8))
    other, _ = toy_trainer(TRAIN, sampler, batch_size=5, seed=1)
    other.scorer.set_weights(trainer.scorer.get_weights())
    fresh = [variable.numpy() for variable in other.sampler.variables]
    tf.train.Checkpoint(sampler=other.sampler).restore(path).assert_consumed()
    assert all((old != new.numpy()).any() for old, new in zip(fresh, other.sampler.variables, strict=True))
    for ours, theirs in zip(epochs(other, (4, 8)), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
