"""AdvIR's loss with perturbed items: by hand, against a search over directions, and its gradient."""

import numpy as np
import pytest
import tensorflow as tf
from toy import toy_interactions, toy_trainer

from gdns_tf.models.losses import LOSSES
from gdns_tf.samplers.base import Scored

TRAIN = toy_interactions()


def losses_of(trainer, batch, loss, queries=None):
    """The sampler's losses [batch] in a step without dropout, and what it saw."""
    scorer, sampler = trainer.scorer, trainer.sampler
    selection = sampler.select(batch, scorer)
    queries = scorer.queries(batch.users) if queries is None else queries
    positives, negatives = scorer.scores(queries, batch.positives), scorer.scores(queries, selection.negatives)
    scored = Scored(batch, scorer, queries, selection, positives, negatives)
    return sampler.losses(scored, loss), scored


def trainer_with(**changes):
    return toy_trainer(TRAIN, "advir", perturbation=0.4, perturbed_weight=0.7, **changes)


def test_by_hand():
    trainer, batch = trainer_with(dim=2, group_size=1)
    batch = batch._replace(users=tf.constant([4]))
    loss = LOSSES["squared_hinge"](margin=1.0)
    scored = Scored(batch, trainer.scorer, tf.constant([[3.0, -4.0]]), None, tf.constant([[2.0]]), tf.constant([[1.5]]))
    # The query's length is 5, so either score moves by 0.4 * 5 = 2: the shortfall is 0.5, and perturbed 4.5.
    expected = 0.5 * 0.5**2 + 0.7 * 0.5 * 4.5**2
    np.testing.assert_allclose(trainer.sampler.losses(scored, loss), [expected], rtol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_no_pair_of_directions_is_worse(name):
    trainer, batch = trainer_with(dim=2, group_size=1)
    loss = LOSSES[name](margin=1.0)
    losses, scored = losses_of(trainer, batch, loss)
    Q, negatives, positives = (x.numpy() for x in (trainer.scorer.Q, scored.selection.negatives, batch.positives))
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    around = 0.4 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = []
    for query, i, j in zip(scored.queries.numpy(), positives[:, 0], negatives[:, 0], strict=True):
        of_positive, of_negative = (Q[i] + around) @ query, (Q[j] + around) @ query
        every_pair = loss.penalty(tf.constant(of_negative[None, :] - of_positive[:, None] + 1.0))
        found.append(every_pair.numpy().max())
    plain = loss(scored.positives, scored.negatives).numpy()
    perturbed = (losses.numpy() - plain) / 0.7
    assert (perturbed >= np.array(found) - 1e-4).all()
    np.testing.assert_allclose(perturbed, found, rtol=1e-3, atol=1e-4)
    assert (perturbed > plain + 0.1).any()


@pytest.mark.parametrize("pairing", ["group", "pair"])
def test_no_directions_of_a_group_are_worse(pairing):
    trainer, batch = trainer_with(group_size=3)
    loss = LOSSES["hinge"](1.0, pairing)
    losses, scored = losses_of(trainer, batch, loss)
    Q, queries = trainer.scorer.Q.numpy(), scored.queries.numpy()
    perturbed = (losses - loss(scored.positives, scored.negatives)).numpy() / 0.7
    rng = np.random.default_rng(0)

    def moved(items, towards):
        directions = rng.normal(size=(*items.shape, 5)) + towards * queries[:, None, :]
        directions *= 0.4 / np.linalg.norm(directions, axis=2, keepdims=True)
        return tf.constant(np.einsum("bnd,bd->bn", Q[items.numpy()] + directions, queries), tf.float32)

    worst = np.zeros(len(queries))
    for towards in np.repeat([0.0, 1.0, 5.0, 50.0], 50):
        found = loss(moved(batch.positives, -towards), moved(scored.selection.negatives, towards)).numpy()
        assert (found <= perturbed + 1e-4).all()
        worst = np.maximum(worst, found)
    np.testing.assert_allclose(worst, perturbed, rtol=0.02, atol=1e-3)  # it was a search that comes near


def test_the_gradient_takes_the_perturbation_as_given():
    trainer, batch = trainer_with(group_size=3)
    loss = LOSSES["softplus"](1.0)
    start = trainer.scorer.queries(batch.users)
    with tf.GradientTape() as tape:
        tape.watch(start)
        losses, scored = losses_of(trainer, batch, loss, start)
    gradient = tape.gradient(losses, start).numpy()

    Q, queries = trainer.scorer.Q.numpy().astype(np.float64), start.numpy().astype(np.float64)
    away = 0.4 * queries / np.linalg.norm(queries, axis=1, keepdims=True)
    positives, negatives = Q[batch.positives.numpy()], Q[scored.selection.negatives.numpy()]

    def value(queries):
        plain, moved = (
            np.einsum("bnd,bd->bn", negatives + shift, queries)[:, None, :]
            - np.einsum("bnd,bd->bn", positives - shift, queries)[:, :, None]
            for shift in (0.0, away[:, None, :])
        )
        return (np.logaddexp(0, plain + 1) + 0.7 * np.logaddexp(0, moved + 1)).sum(axis=(1, 2))

    np.testing.assert_allclose(losses, value(queries), rtol=1e-4)
    for k in range(5):
        step = 1e-5 * np.eye(5)[k]
        numeric = (value(queries + step) - value(queries - step)) / 2e-5
        np.testing.assert_allclose(gradient[:, k], numeric, rtol=1e-3, atol=1e-3)


def test_a_query_of_nothing_has_a_gradient():
    """As when dropout hides all factors of a user."""
    trainer, batch = trainer_with()
    queries = tf.Variable(tf.zeros([len(batch.users), 5]))
    with tf.GradientTape() as tape:
        losses, _ = losses_of(trainer, batch, LOSSES["softplus"](1.0), tf.convert_to_tensor(queries))
    np.testing.assert_allclose(losses, 1.7 * 4 * 4 * np.log1p(np.e), rtol=1e-5)
    assert np.isfinite(tape.gradient(losses, queries)).all()


@pytest.mark.parametrize(
    ("changes", "times"), [({"perturbed_weight": 0.0}, 1.0), ({"perturbation": 0.0, "perturbed_weight": 0.7}, 1.7)]
)
def test_without_perturbation(changes, times):
    trainer, batch = toy_trainer(TRAIN, "advir", **changes)
    loss = LOSSES["hinge"](1.0)
    losses, scored = losses_of(trainer, batch, loss)
    np.testing.assert_allclose(losses, times * loss(scored.positives, scored.negatives), rtol=1e-5)
