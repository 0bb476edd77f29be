"""Tracked GDNS against NumPy: whose H and G are written, and what is chosen by them."""

import numpy as np
import pytest
from numpy_oracle import sigmoid
from toy import scores_of, toy_interactions, toy_trainer

TRAIN = toy_interactions()


def oracle(trainer, batch, cells, smoothing):
    """H and G of all candidates, renewed: [batch, num_candidates] each; `cells` [num_users, num_items, 2] before."""
    users, candidates = batch.users.numpy(), batch.candidates.numpy()
    positive = scores_of(trainer.scorer, users, batch.positives.numpy()).mean(axis=1, keepdims=True)
    h = sigmoid(scores_of(trainer.scorer, users, candidates) - positive)
    before = cells[users[:, None], candidates]
    return h, smoothing * before[..., 1] + (1 - smoothing) * sigmoid((before[..., 0] - h) / (h + 1e-8))


def table_of(trainer):
    return trainer.sampler.table.cells.numpy().reshape(TRAIN.num_users, TRAIN.num_items, 2).astype(float)


@pytest.mark.parametrize("another", [False, True])
def test_all_candidates_are_kept_up_and_the_best_chosen(another):
    trainer, batch = toy_trainer(
        TRAIN,
        "gdns_tracked",
        gain_weight=0.7,
        gain_of_another=another,
        smoothing=0.3,
    )
    rng = np.random.default_rng(0)
    trainer.sampler.table.cells.assign(rng.uniform(0.2, 1, trainer.sampler.table.cells.shape))
    before = table_of(trainer)
    h, g = oracle(trainer, batch, before, 0.3)
    worth = h - 0.7 * (1 - (np.roll(g, -1, axis=1) if another else g))
    negatives = trainer.sampler.select(batch, trainer.scorer).negatives.numpy()
    for row in range(len(worth)):
        best = batch.candidates.numpy()[row][np.argsort(-worth[row])[:4]]
        assert sorted(negatives[row]) == sorted(best)
    np.testing.assert_array_equal(table_of(trainer), before)  # a choice writes nothing
    trainer.train_step(batch._asdict())
    users, candidates = batch.users.numpy(), batch.candidates.numpy()
    after = table_of(trainer)
    np.testing.assert_allclose(after[users[:, None], candidates, 0], h, rtol=1e-4)
    np.testing.assert_allclose(after[users[:, None], candidates, 1], g, rtol=1e-4)
    untouched = np.ones(after.shape[:2], bool)
    untouched[users[:, None], candidates] = False
    np.testing.assert_array_equal(after[untouched], before[untouched])


def test_without_gain_and_noise_it_is_dns():
    tracked, batch = toy_trainer(TRAIN, "gdns_tracked", gain_weight=0.0)
    dns, _ = toy_trainer(TRAIN, "dns")
    ours, theirs = (np.sort(t.sampler.select(batch, t.scorer).negatives) for t in (tracked, dns))
    np.testing.assert_array_equal(ours, theirs)


def test_noise_softens_the_choice():
    plain, batch = toy_trainer(TRAIN, "gdns_tracked", gain_weight=0.0)
    noisy, _ = toy_trainer(TRAIN, "gdns_tracked", gain_weight=0.0, choice_noise=100.0)
    ours, theirs = (np.sort(t.sampler.select(batch, t.scorer).negatives) for t in (plain, noisy))
    assert (ours != theirs).any()
    assert all(set(chosen) <= set(offered) for chosen, offered in zip(theirs, batch.candidates.numpy(), strict=True))
