"""The paired bootstrap against normal theory and by simulation, and Holm's correction by hand."""

import numpy as np
import pytest
from scipy import stats

from gdns_tf.evaluation.significance import holm, paired_bootstrap


def crossed(num_seeds, num_users, mean, seed_sd, user_sd, noise_sd, rng):
    """Differences with an effect of the seed, of the user, and of both."""
    return (
        mean
        + seed_sd * rng.standard_normal((num_seeds, 1))
        + user_sd * rng.standard_normal((1, num_users))
        + noise_sd * rng.standard_normal((num_seeds, num_users))
    )


def test_one_seed_is_the_bootstrap_over_users():
    differences = np.random.default_rng(0).normal(0.05, 1.0, (1, 1, 800))
    (result,) = paired_bootstrap(differences)
    error = differences.std() / np.sqrt(800)
    assert result.difference == pytest.approx(differences.mean())
    assert result.low == pytest.approx(differences.mean() - 1.96 * error, abs=0.1 * error)
    assert result.high == pytest.approx(differences.mean() + 1.96 * error, abs=0.1 * error)
    expected = 2 * stats.norm.sf(abs(differences.mean()) / error)
    assert result.p_value == pytest.approx(expected, abs=0.03)


def test_the_spread_between_seeds_counts_and_few_seeds_are_widened():
    """Without an effect of users all spread is that of the seeds: their mean's standard error, n - 1 in it."""
    of_seeds = np.array([0.1, 0.3, -0.2, 0.4])
    (result,) = paired_bootstrap(np.repeat(of_seeds[None, :, None], 50, axis=2), resamples=40_000)
    error = of_seeds.std(ddof=1) / 2
    # A bootstrap of four values is coarse: compare its variance, by way of the interval's width, loosely.
    assert (result.high - result.low) / (2 * 1.96 * error) == pytest.approx(1.0, abs=0.12)


def test_rejects_as_often_as_it_should_where_there_is_no_difference():
    rng = np.random.default_rng(1)
    differences = np.stack([crossed(5, 300, 0.0, 0.03, 1.0, 1.0, rng) for _ in range(400)])
    rejected = np.mean([result.p_value < 0.05 for result in paired_bootstrap(differences, resamples=1000)])
    assert 0.02 < rejected < 0.10


def test_finds_a_difference_that_is_there():
    rng = np.random.default_rng(2)
    (result,) = paired_bootstrap(crossed(5, 2000, 0.2, 0.01, 1.0, 1.0, rng)[None])
    assert result.p_value < 0.001
    assert result.low > 0


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
