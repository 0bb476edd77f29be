"""Steps of the sampled likelihood against NumPy, its corrections against expectations, and every sampler with it."""

import numpy as np
import pytest
import tensorflow as tf
from toy import toy_interactions

from gdns_tf.samplers.registry import SAMPLERS
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from pipelines.errors import InputError

TRAIN = toy_interactions()
MEAN = TRAIN.num_interactions / TRAIN.num_users
SETTINGS = {
    "objective": "sampled_softmax",
    "scorer": "gmf",
    "dim": 5,
    "batch_size": 4,
    "group_size": 3,
    "num_candidates": 12,
    "init_scale": 1.0,
    "optimizer": "sgd",
    "learning_rate": 1.0,
    "user_l2": 0.0,
    "uniform_epochs": 0,
}


def trainer_of(**changes):
    config = TrainConfig.from_settings(**(SETTINGS | changes))
    trainer = build_trainer(TRAIN, config)
    if changes.get("scorer", "gmf") == "gmf":
        trainer.scorer.w.assign(np.linspace(-0.5, 1.5, 5))
    return trainer, config


def of_scores(scores, user, negatives, q):
    """A user's loss and its gradient for the scores of all items [num_items]; q: how often each was expected."""
    items = TRAIN.of(user)
    terms = np.concatenate([np.exp(scores[items]), np.exp(scores[negatives]) / q])
    gradient = np.zeros(len(scores))
    np.add.at(gradient, np.concatenate([items, negatives]), terms / terms.sum())
    gradient[items] -= 1 / len(items)
    return np.log(terms.sum()) - scores[items].mean(), gradient


def check_step(trainer, batch, negatives_and_q):
    """That a step of SGD is the gradient of the weighted losses of GMF, by the chain rule in NumPy."""
    P, Q, w = (v.numpy().astype(np.float64) for v in trainer.trainable_variables)
    losses, dP, dQ, dw = [], np.zeros_like(P), np.zeros_like(Q), np.zeros_like(w)
    for row, user in enumerate(batch["users"].numpy()):
        loss, gradient = of_scores(Q @ (w * P[user]), user, *negatives_and_q(row, user, Q @ (w * P[user])))
        gradient *= len(TRAIN.of(user)) / MEAN
        losses.append(loss)
        dQ += np.outer(gradient, w * P[user])
        dP[user] += w * (gradient @ Q)
        dw += P[user] * (gradient @ Q)
    trainer.reset_metrics()
    np.testing.assert_allclose(trainer.train_step(batch)["loss"], np.mean(losses), rtol=1e-4)
    after = [v.numpy() for v in trainer.trainable_variables]
    for old, new, gradient in zip((P, Q, w), after, (dP, dQ, dw), strict=True):
        np.testing.assert_allclose(old - new, gradient, rtol=1e-3, atol=2e-4)


def unobserved(user):
    return np.setdiff1d(np.arange(TRAIN.num_items), TRAIN.of(user))


def test_uniform_negatives_stand_for_all_that_are_unobserved():
    trainer, config = trainer_of(sampler="uniform")
    for batch in build_batches(TRAIN, config).take(4):  # the last one is smaller
        candidates = batch["candidates"].numpy()
        check_step(trainer, batch, lambda row, user, _: (candidates[row], 3 / len(unobserved(user))))  # noqa: B023


def test_popular_negatives_are_corrected_for_their_chance():
    trainer, config = trainer_of(sampler="nncf", popularity_power=0.5)
    mass = TRAIN.item_counts**0.5
    batch = next(iter(build_batches(TRAIN, config)))
    candidates = batch["candidates"].numpy()
    check_step(
        trainer, batch, lambda row, user, _: (candidates[row], 3 * mass[candidates[row]] / mass[unobserved(user)].sum())
    )


def test_hard_negatives_weigh_what_all_candidates_do():
    trainer, config = trainer_of(sampler="dns")
    batch = next(iter(build_batches(TRAIN, config)))

    def hardest(row, user, scores):
        candidates = batch["candidates"].numpy()[row]
        chosen = candidates[np.argsort(-scores[candidates])[:3]]
        total = np.exp(scores[candidates]).sum() * len(unobserved(user)) / 12
        return chosen, np.exp(scores[chosen]).sum() / total

    # The factor is a constant to the gradient: of_scores takes q as one too.
    check_step(trainer, batch, hardest)


def test_a_generator_is_corrected_for_its_probabilities():
    trainer, config = trainer_of(sampler="irgan", dropout=0.0)
    data = next(iter(build_batches(TRAIN, config)))
    batch = trainer.batch(data)
    chosen = trainer.sampler.select(batch, trainer.scorer).negatives.numpy()
    probabilities, candidates = trainer.sampler.generator.probabilities(batch).numpy(), batch.candidates.numpy()

    def drawn(row, user, _):
        by_item = {item: probabilities[row][candidates[row] == item].max() for item in chosen[row]}
        expected = np.array([3 * by_item[item] for item in chosen[row]])
        return chosen[row], expected * 12 / len(unobserved(user))

    check_step(trainer, data, drawn)


def test_shared_negatives_leave_out_what_a_user_has():
    trainer, config = trainer_of(sampler="uniform", shared_negatives=True, group_size=8)
    for batch in build_batches(TRAIN, config).take(4):
        drawn = batch["negatives"].numpy()
        assert drawn.shape == (8,)
        check_step(
            trainer,
            batch,
            lambda _row, user, _: (drawn[np.isin(drawn, unobserved(user))], 8 / TRAIN.num_items),  # noqa: B023
        )


def test_shared_popular_negatives_are_corrected_for_their_chance():
    trainer, config = trainer_of(sampler="nncf", popularity_power=0.5, shared_negatives=True, group_size=8)
    mass = TRAIN.item_counts**0.5
    batch = next(iter(build_batches(TRAIN, config)))
    drawn = batch["negatives"].numpy()

    def own(_row, user, _scores):
        negatives = drawn[np.isin(drawn, unobserved(user))]
        return negatives, 8 * mass[negatives] / mass.sum()

    check_step(trainer, batch, own)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("sampler", ["uniform", "nncf"])
def test_the_estimate_of_the_sum_is_unbiased(sampler, shared):
    """The mean over many draws of sum_j exp(r_uj) / q_uj is the sum over all unobserved items."""
    trainer, config = trainer_of(sampler=sampler, shared_negatives=shared, batch_size=13)
    P, Q, w = (v.numpy().astype(np.float64) for v in trainer.trainable_variables)
    scores = (P * w) @ Q.T
    expected = [np.exp(scores[user][unobserved(user)]).sum() for user in range(13)]
    sums = []
    for batch in build_batches(TRAIN, config).take(1500):
        users = batch["users"]
        if shared:
            drawn = batch["negatives"].numpy()
            log_q = trainer._masses.log_expected_of_all(batch["negatives"], 3).numpy()
            left = np.array([np.isin(drawn, unobserved(user)) for user in range(13)])
            sums.append((np.exp(scores[:, drawn] - log_q) * left).sum(axis=1))
        else:
            log_q = trainer._masses.log_expected(users, batch["candidates"], 3).numpy()
            order = np.argsort(users.numpy())
            rows = np.take_along_axis(scores[users], batch["candidates"].numpy(), axis=1)
            sums.append(np.exp(rows - log_q).sum(axis=1)[order])
    errors = np.std(sums, axis=0) / np.sqrt(len(sums))
    assert (np.abs(np.mean(sums, axis=0) - expected) < 5 * errors).all()


SCORERS = ("gmf", "history", "svdpp")


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_trains_every_scorer(sampler, scorer, pytestconfig):
    is_one_of_three = list(SAMPLERS).index(sampler) % 3 == SCORERS.index(scorer)
    if not is_one_of_three and not pytestconfig.getoption("--exhaustive"):
        pytest.skip("each sampler with one scorer; `pytest --exhaustive` tries all")
    own = {"memory_size": 6, "top_candidates": 8}
    known = TrainConfig.from_settings(sampler=sampler).settings().keys()
    changes = {name: value for name, value in own.items() if name in known}
    trainer, config = trainer_of(sampler=sampler, scorer=scorer, optimizer="adam", learning_rate=0.05, **changes)
    train_epoch, batches = trainer.make_train_function(), iter(build_batches(TRAIN, config))
    losses = []
    for _ in range(12):
        trainer.reset_metrics()
        losses.append(float(train_epoch(batches)["loss"]))
    assert np.isfinite(losses).all()
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


def test_what_does_not_go_together_is_refused():
    for sampler in ("gdns", "dns", "enmf", "softmax"):
        with pytest.raises(InputError, match=f"`shared_negatives`=True does not go with `sampler`={sampler}"):
            trainer_of(sampler=sampler, shared_negatives=True)
    with pytest.raises(InputError, match="`jit_compile`=True does not go with `objective`=sampled_softmax"):
        trainer_of(jit_compile=True)


def test_shared_negatives_choose_the_objective():
    config = TrainConfig.from_settings(shared_negatives=True)
    assert (config.objective, config.sampler, config.scorer) == ("sampled_softmax", "uniform", "history")
    assert not config.has_sampler


def test_own_items_of_long_histories_never_count_as_negatives():
    trainer, config = trainer_of(sampler="uniform", shared_negatives=True, group_size=200, batch_size=13)
    batch = next(iter(build_batches(TRAIN, config)))
    row_of, items = trainer._histories.of(batch["users"])
    negatives = tf.unique(batch["negatives"]).y
    own = trainer._own(row_of, items, negatives).numpy()
    pairs = {(int(batch["users"][row]), int(negatives[place])) for row, place in own}
    assert pairs == {(user, item) for user in range(13) for item in TRAIN.of(user) if item in negatives.numpy()}
