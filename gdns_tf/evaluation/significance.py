"""How far metrics could be chance: confidence intervals over users, paired tests over users and over seeds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

_BLOCK = 2**20
"""Numbers that one block of sign patterns holds at most (8 MB), unless a single one has more."""
_RESAMPLES_AT_ONCE = 250
"""Of users, where they are not very many."""
_COUNTS_AT_ONCE = 2**26
"""Numbers that resamples of users hold at most (1 GB), unless a single one has more."""


@dataclass(frozen=True)
class PairedTest:
    """How a differs from b."""

    difference: float
    """Mean of a - b."""
    low: float
    """Lower end of the confidence interval of the difference."""
    high: float
    """Upper end."""
    p_value: float
    """Two-sided: how often chance alone gives a difference at least as large."""
    adjusted: float = float("nan")
    """The p-value corrected for the number of comparisons (`holm`), where there are several."""


def bootstrap_intervals(
    per_user: Mapping[str, np.ndarray], resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap confidence intervals of means over users.

    All metrics are averaged over the same resampled users. The percentile interval is enough here: a mean of hundreds
    of bounded values is so near to normal that corrections (BCa) move the ends by less than the resampling does.

    Args:
      per_user: metric -> [num_users].
      resamples: how many times to draw num_users users with replacement.
      confidence: share of the resampled means inside the interval.
      seed: same seed, same intervals.

    Returns:
      Metric -> (low, high).
    """
    values = _stack(per_user).T[:, None, :]
    means = _resampled_means(values, resamples, np.random.default_rng([seed, 0]))
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(per_user)}


def paired_tests(
    a: Mapping[str, np.ndarray],
    b: Mapping[str, np.ndarray],
    resamples: int = 9999,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, PairedTest]:
    """Tests each metric of two models for the same users.

    The p-value is that of the sign-flip permutation test: if the models were alike, each user's difference could as
    well have had the other sign, so the mean is compared with means under random signs. It tests the very difference of
    means that is reported. Wilcoxon's signed-rank test would not: it drops the users without a difference (most of
    them, for NDCG at small K), ranks what is left with massive ties, and may disagree with the means in sign.

    Args:
      a: metric -> [num_users].
      b: the same metrics of the same users for the other model.
      resamples: random sign patterns, and resamples of users for the interval of the difference; the smallest p-value
        that can come out is 1 / (resamples + 1).
      confidence: of the bootstrap interval of the difference.
      seed: same seed, same result.

    Raises:
      ValueError: a and b are not of the same metrics and users.
    """
    if a.keys() != b.keys():
        raise ValueError(f"the metrics differ: {', '.join(a)} and {', '.join(b)}")
    for name in a:
        if np.shape(a[name]) != np.shape(b[name]):
            raise ValueError(f"{name} is of {len(a[name])} and of {len(b[name])} users: a paired test needs the same")
    differences = {name: np.asarray(a[name], np.float64) - b[name] for name in a}
    intervals = bootstrap_intervals(differences, resamples, confidence, seed)
    p_values = _sign_flip_p_values(_stack(differences), resamples, np.random.default_rng([seed, 1]))
    return {
        name: PairedTest(float(differences[name].mean()), *intervals[name], float(p_value))
        for name, p_value in zip(differences, p_values, strict=True)
    }


def paired_test(
    a: np.ndarray, b: np.ndarray, resamples: int = 9999, confidence: float = 0.95, seed: int = 0
) -> PairedTest:
    """`paired_tests` of one metric: a and b are [num_users]."""
    return paired_tests({"metric": a}, {"metric": b}, resamples, confidence, seed)["metric"]


def paired_bootstrap(differences: np.ndarray, resamples: int = 10_000, seed: int = 0) -> list[PairedTest]:
    """Tests differences between paired systems by the bootstrap over users and seeds at once: either may be the cause.

    A resample draws users, and seeds, with replacement, the same for all comparisons. Few seeds spread less than they
    should when drawn again, by (S - 1) / S in variance; their deviations are widened to make good for it (Davison and
    Hinkley, 1997, section 3.8). One seed says nothing of the spread between seeds, and only users are drawn.

    Args:
      differences: [num_comparisons, num_seeds, num_users] of one metric, of the same seeds and users.
      resamples: draws.
      seed: same seed, same result.
    """
    _, num_seeds, num_users = differences.shape
    mean_of_user = differences.mean(axis=1, keepdims=True)
    widened = mean_of_user + (differences - mean_of_user) * np.sqrt(num_seeds / max(num_seeds - 1, 1))
    means = _resampled_means(widened, resamples, np.random.default_rng([seed, num_seeds, num_users]))
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    # Means of exactly zero count on both sides; what was observed counts as one more resample.
    tail = np.minimum((means <= 0).sum(axis=0), (means >= 0).sum(axis=0))
    p_values = np.minimum(1.0, 2 * (tail + 1) / (resamples + 1))
    means_of_all = differences.mean(axis=(1, 2))
    return [PairedTest(*map(float, row)) for row in zip(means_of_all, low, high, p_values, strict=True)]


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's step-down method (Holm, 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = len(order) - np.arange(len(order))
    adjusted = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    result = np.empty(len(order))
    result[order] = adjusted
    return result.tolist()


def paired_test_over_seeds(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> PairedTest:
    """Paired t-test of one metric of two methods, each trained once for each of the same seeds.

    This speaks of the methods; `paired_tests` speaks only of two trained models.

    Args:
      a: [num_seeds] the metric of one method.
      b: [num_seeds] of the other, in the same order of seeds.
      confidence: of the interval of the difference (Student's t).

    Raises:
      ValueError: a and b differ in length, or there are fewer than two seeds.
    """
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(
            f"a paired test needs the same seeds, two or more, on both sides; there are {len(a)}, {len(b)}"
        )
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    mean = float(differences.mean())
    if np.ptp(differences) == 0:  # no spread to judge by: t is infinite, or 0 / 0
        return PairedTest(mean, mean, mean, 0.0 if mean else 1.0)
    result = scipy.stats.ttest_rel(a, b)
    low, high = result.confidence_interval(confidence)
    return PairedTest(mean, float(low), float(high), float(result.pvalue))


def _resampled_means(values: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Means over users and seeds that are drawn again: [resamples, num_metrics].

    Args:
      values: [num_metrics, num_seeds, num_users].
      resamples: draws.
      rng: the randomness.
    """
    num_metrics, num_seeds, num_users = values.shape
    columns = values.reshape(-1, num_users).T.astype(np.float64)
    means = np.empty((resamples, num_metrics))
    at_once = min(_RESAMPLES_AT_ONCE, max(_COUNTS_AT_ONCE // num_users, 1))
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        users = [np.bincount(rng.integers(0, num_users, num_users), minlength=num_users) for _ in range(count)]
        drawn = (np.array(users, np.float64) @ columns / num_users).reshape(count, num_metrics, num_seeds)
        if num_seeds > 1:
            drawn = np.take_along_axis(drawn, rng.integers(0, num_seeds, (count, 1, num_seeds)), axis=2)
        means[start : start + count] = drawn.mean(axis=2)
    return means


def _sign_flip_p_values(differences: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """[num_metrics]: two-sided p-values of the means of `differences` [num_users, num_metrics] under random signs."""
    differences = differences[differences.any(axis=1)]
    num_users = len(differences)
    total = differences.sum(axis=0)
    # The slack lets signs that give the same sum, but for the order of addition, count as reaching it.
    reached_from = np.abs(total) - 1e-10 * np.abs(differences).sum(axis=0)
    reached = np.zeros(differences.shape[1], np.int64)
    for block in _blocks(resamples, max(num_users, 1)):
        bits = np.frombuffer(rng.bytes(len(block) * -(-num_users // 8)), np.uint8).reshape(len(block), -1)
        flips = np.unpackbits(bits, axis=1, count=num_users).astype(np.float64)
        sums = total - 2 * (flips @ differences)
        reached += (np.abs(sums) >= reached_from).sum(axis=0)
    return (reached + 1) / (resamples + 1)


def _stack(per_user: Mapping[str, np.ndarray]) -> np.ndarray:
    """[num_users, num_metrics] float64."""
    return np.stack([np.asarray(values, np.float64) for values in per_user.values()], axis=1)


def _blocks(resamples: int, size: int) -> Iterator[range]:
    """Consecutive ranges of resamples, each with at most `_BLOCK` numbers where a resample has `size`."""
    step = max(_BLOCK // size, 1)
    for start in range(0, resamples, step):
        yield range(start, min(start + step, resamples))
