"""Whether one system ranks better than another: both trained for the same seeds, tested on the same users."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from gdns_tf.evaluation import metrics
from gdns_tf.evaluation.metrics import Ranks
from gdns_tf.evaluation.significance import PairedTest, holm, paired_bootstrap


def per_user(ranks: Sequence[Ranks], metric: str) -> np.ndarray:
    """A metric such as "ndcg@3" of each seed and user: [num_seeds, num_users]."""
    return np.stack([metrics.of_users(metric, of_seed) for of_seed in ranks])


def compare_all(systems: Mapping[str, np.ndarray], baseline: str) -> dict[str, PairedTest]:
    """Compares every other system with the baseline, p-values corrected for the number of comparisons.

    Args:
      systems: name -> [num_seeds, num_users] of one metric, for the same seeds and users.
      baseline: one of them.
    """
    return compare_pairs({name: (systems[name], systems[baseline]) for name in systems if name != baseline})


def compare_pairs(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, PairedTest]:
    """Compares each with one of its own, p-values corrected for the number of comparisons.

    Args:
      pairs: name -> [num_seeds, num_users] of one metric, of it and of what it is compared with; all for the same seeds
        and users.
    """
    if not pairs:
        return {}
    raw = paired_bootstrap(np.stack([a - b for a, b in pairs.values()]))
    adjusted = holm([comparison.p_value for comparison in raw])
    return {name: replace(c, adjusted=p) for name, c, p in zip(pairs, raw, adjusted, strict=True)}
