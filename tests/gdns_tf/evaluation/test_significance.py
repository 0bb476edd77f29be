"""Intervals and tests, against closed forms, exact enumeration and SciPy."""

import itertools

import numpy as np
import pytest
from scipy import stats

from gdns_tf.evaluation import significance
from gdns_tf.evaluation.significance import bootstrap_intervals, paired_test, paired_test_over_seeds, paired_tests

NORMAL_975 = 1.959964


def test_bootstrap_gives_the_standard_error_of_a_mean():
    values = np.random.default_rng(0).exponential(size=5000)
    low, high = bootstrap_intervals({"m": values}, resamples=4000)["m"]
    error = values.std() / np.sqrt(5000)
    assert (high - low) / (2 * NORMAL_975) == pytest.approx(error, rel=0.06)
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.2 * error)


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(1).random(300) ** 3
    expected = stats.bootstrap((values,), np.mean, n_resamples=9999, method="percentile", rng=0).confidence_interval
    found = bootstrap_intervals({"m": values}, resamples=9999)["m"]
    np.testing.assert_allclose(found, expected, atol=0.1 * (expected.high - expected.low))


def test_bootstrap_resamples_the_same_users_for_all_metrics(monkeypatch):
    monkeypatch.setattr(significance, "_RESAMPLES_AT_ONCE", 7)  # several blocks
    values = np.random.default_rng(2).random(200)
    intervals = bootstrap_intervals({"m": values, "double": 2 * values, "constant": np.full(200, 0.25)})
    np.testing.assert_allclose(intervals["double"], 2 * np.array(intervals["m"]))
    np.testing.assert_allclose(intervals["constant"], 0.25)
    assert intervals == bootstrap_intervals({"m": values, "double": 2 * values, "constant": np.full(200, 0.25)})
    assert intervals["m"] != bootstrap_intervals({"m": values}, seed=1)["m"]


def test_sign_flips_agree_with_all_256_patterns():
    a = np.array([0.5, 0.63, 1.0, 0.0, 0.5, 1.0, 0.63, 0.0])
    b = np.array([0.0, 0.50, 0.5, 0.5, 0.0, 0.0, 0.63, 0.5])  # one user without a difference, sums that coincide
    difference = a - b
    sums = [abs(np.dot(signs, difference)) for signs in itertools.product([-1, 1], repeat=8)]
    exact = np.mean(np.array(sums) >= abs(difference.sum()) - 1e-12)
    resamples = 40_000
    found = paired_test(a, b, resamples=resamples)
    assert found.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / resamples))
    assert found.difference == pytest.approx(difference.mean())
    reference = stats.permutation_test(
        (a, b), lambda x, y, axis: (x - y).mean(axis), permutation_type="samples", vectorized=True
    )
    assert exact == pytest.approx(reference.pvalue)


def test_p_values_are_uniform_where_there_is_no_difference():
    rng = np.random.default_rng(3)
    pairs = {str(trial): rng.random((2, 101)) * rng.integers(0, 2, (2, 101)) for trial in range(400)}
    tests = paired_tests({t: pair[0] for t, pair in pairs.items()}, {t: pair[1] for t, pair in pairs.items()}, 999)
    assert stats.kstest([test.p_value for test in tests.values()], "uniform").pvalue > 0.01


def test_a_clear_difference_is_found_with_its_sign():
    rng = np.random.default_rng(4)
    b = rng.random(500) * 0.5
    a = b + 0.1 + 0.01 * rng.normal(size=500)
    found, reverse = paired_test(a, b, resamples=999), paired_test(b, a, resamples=999)
    assert found.p_value == reverse.p_value == 1 / 1000
    assert found.low < found.difference < found.high
    assert found.difference == pytest.approx(0.1, abs=0.002)
    assert reverse.difference == -found.difference


def test_no_difference_at_all():
    same = np.random.default_rng(5).random(20)
    found = paired_test(same, same)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_what_cannot_be_paired_is_refused():
    with pytest.raises(ValueError, match="of 3 and of 4 users"):
        paired_test(np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="the metrics differ"):
        paired_tests({"mrr": np.zeros(3)}, {"hr@1": np.zeros(3)})
    for a, b in (([0.1], [0.2]), ([0.1, 0.2], [0.1, 0.2, 0.3])):
        with pytest.raises(ValueError, match="the same seeds, two or more"):
            paired_test_over_seeds(a, b)


def test_over_seeds_by_the_textbook():
    a, b = [0.310, 0.314, 0.309, 0.312], [0.305, 0.306, 0.307, 0.303]
    differences = np.array([0.005, 0.008, 0.002, 0.009])
    error = differences.std(ddof=1) / 2
    found = paired_test_over_seeds(a, b)
    assert found.difference == pytest.approx(0.006)
    assert (found.low, found.high) == pytest.approx((0.006 - 3.182446 * error, 0.006 + 3.182446 * error))  # t(3), 97.5%
    assert found.p_value == pytest.approx(2 * stats.t.sf(0.006 / error, df=3))


def test_over_seeds_without_spread():
    assert paired_test_over_seeds([0.5, 0.5], [0.5, 0.5]).p_value == 1
    assert paired_test_over_seeds([0.5, 0.75], [0.25, 0.5]).p_value == 0
