"""Whether one system ranks better than another: both trained for the same seeds, tested on the same users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gdns_tf.evaluation import metrics


@dataclass(frozen=True)
class Comparison:
    """How one system differs from another in one metric."""

    difference: float
    """Mean over seeds and users."""
    low: float
    """Lower end of the 95% interval."""
    high: float
    """Upper end."""
    p_value: float
    """Two-sided, before correction."""
    adjusted: float = float("nan")
    """Two-sided, corrected for the number of comparisons (`holm`)."""


def per_user(ranks: Sequence[np.ndarray], metric: str) -> np.ndarray:
    """A metric such as "ndcg@3" of each seed and user: [num_seeds, num_users]."""
    k = int(metric.split("@")[1]) if "@" in metric else 1
    return np.stack([metrics.per_user(of_seed, [k])[metric] for of_seed in ranks])


def paired_bootstrap(differences: np.ndarray, resamples: int = 10_000, seed: int = 0) -> list[Comparison]:
    """Tests differences between paired systems by the bootstrap over users and seeds at once: either may be the cause.

    A resample draws users, and seeds, with replacement, the same for all comparisons. Few seeds spread less than they
    should when drawn again, by (S - 1) / S in variance; their deviations are widened to make good for it (Davison and
    Hinkley, 1997, section 3.8). One seed says nothing of the spread between seeds, and only users are drawn.

    Args:
      differences: [num_comparisons, num_seeds, num_users] of one metric, of the same seeds and users.
      resamples: draws.
      seed: same seed, same result.
    """
    num_comparisons, num_seeds, num_users = differences.shape
    mean_of_user = differences.mean(axis=1, keepdims=True)
    widened = mean_of_user + (differences - mean_of_user) * np.sqrt(num_seeds / max(num_seeds - 1, 1))
    columns = widened.reshape(-1, num_users).T
    rng = np.random.default_rng([seed, num_seeds, num_users])
    means = np.empty((resamples, num_comparisons))
    for start in range(0, resamples, 250):  # bounds the memory
        count = min(250, resamples - start)
        users = [np.bincount(rng.integers(0, num_users, num_users), minlength=num_users) for _ in range(count)]
        of_seeds = (np.array(users, np.float64) @ columns / num_users).reshape(count, num_comparisons, num_seeds)
        drawn = rng.integers(0, num_seeds, (count, 1, num_seeds))
        means[start : start + count] = np.take_along_axis(of_seeds, drawn, axis=2).mean(axis=2)
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    # Means of exactly zero count on both sides; what was observed counts as one more resample.
    tail = np.minimum((means <= 0).sum(axis=0), (means >= 0).sum(axis=0))
    p_values = np.minimum(1.0, 2 * (tail + 1) / (resamples + 1))
    means_of_all = differences.mean(axis=(1, 2))
    return [Comparison(*map(float, row)) for row in zip(means_of_all, low, high, p_values, strict=True)]


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's step-down method (Holm, 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = len(order) - np.arange(len(order))
    adjusted = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    result = np.empty(len(order))
    result[order] = adjusted
    return result.tolist()


def compare_all(systems: Mapping[str, np.ndarray], baseline: str) -> dict[str, Comparison]:
    """Compares every other system with the baseline, p-values corrected for the number of comparisons.

    Args:
      systems: name -> [num_seeds, num_users] of one metric, for the same seeds and users.
      baseline: one of them.
    """
    others = [name for name in systems if name != baseline]
    if not others:
        return {}
    raw = paired_bootstrap(np.stack([systems[name] - systems[baseline] for name in others]))
    adjusted = holm([comparison.p_value for comparison in raw])
    return {name: replace(c, adjusted=p) for name, c, p in zip(others, raw, adjusted, strict=True)}
