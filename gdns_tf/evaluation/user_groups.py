"""How well users are served who have little, and those who have much."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gdns_tf.evaluation.significance import bootstrap_intervals

GROUPS = ("few", "middling", "many")


@dataclass(frozen=True)
class UserGroup:
    """Users with about as many training interactions, and how well they are served."""

    name: str
    """Of `GROUPS`."""
    users: int
    fewest: int
    """Training interactions that one of them has at the least."""
    most: int
    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    """Metric -> ends of its bootstrap confidence interval over the group's users; empty if not asked for."""
    other: dict[str, float]
    """Means of the model that is compared; empty where there is none."""


def by_activity(
    counts: np.ndarray,
    per_user: Mapping[str, np.ndarray],
    other: Mapping[str, np.ndarray] | None = None,
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> list[UserGroup]:
    """The metrics by thirds of the users, cut where a third and two thirds of them have no more interactions.

    Users with equally many are in one group, so that groups are of unequal size, or fewer than three, where many are.

    Args:
      counts: [num_users] training interactions.
      per_user: metric -> [num_users], in the same order.
      other: the same of another model.
      resamples: of each group's users for the intervals; 0: no intervals.
      confidence: of the intervals.

    Returns:
      The groups that have users, those with few interactions first.
    """
    group_of = np.searchsorted(np.quantile(counts, [1 / 3, 2 / 3]), counts)  # who has just as many is below the cut
    groups = []
    for number, name in enumerate(GROUPS):
        mine = group_of == number
        if mine.any():
            of_mine, of_other = ({n: v[mine] for n, v in (each or {}).items()} for each in (per_user, other))
            groups.append(
                UserGroup(
                    name,
                    int(mine.sum()),
                    int(counts[mine].min()),
                    int(counts[mine].max()),
                    {metric: float(values.mean()) for metric, values in of_mine.items()},
                    bootstrap_intervals(of_mine, resamples, confidence) if resamples else {},
                    {metric: float(values.mean()) for metric, values in of_other.items()},
                )
            )
    return groups
