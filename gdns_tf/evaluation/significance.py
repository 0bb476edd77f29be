"""How far metrics could be chance: confidence intervals over users, paired tests over users and over seeds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

_BLOCK = 2**20
"""Numbers that one block of resamples holds at most (8 MB), unless a single resample has more."""


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
    values = _stack(per_user)
    num_users = len(values)
    rng = np.random.default_rng([seed, 0])
    resampled = np.empty((resamples, values.shape[1]))
    for block in _blocks(resamples, num_users):
        counts = [np.bincount(rng.integers(0, num_users, num_users), minlength=num_users) for _ in block]
        resampled[block.start : block.stop] = np.array(counts, np.float64) @ values / num_users
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
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
    result = stats.ttest_rel(a, b)
    low, high = result.confidence_interval(confidence)
    return PairedTest(mean, float(low), float(high), float(result.pvalue))


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
