"""Users by how much they have, against counting one by one."""

from itertools import pairwise

import numpy as np
import pytest

from gdns_tf.evaluation.significance import bootstrap_intervals
from gdns_tf.evaluation.user_groups import by_activity


def test_thirds_by_hand():
    counts = np.array([9, 1, 5, 2, 8, 3])
    ndcg, other = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), np.array([1.0, 0, 0, 0, 1, 0])
    few, middling, many = by_activity(counts, {"ndcg@3": ndcg}, {"ndcg@3": other}, resamples=200)
    assert [(g.name, g.users, g.fewest, g.most) for g in (few, middling, many)] == [
        ("few", 2, 1, 2),
        ("middling", 2, 3, 5),
        ("many", 2, 8, 9),
    ]
    assert few.means["ndcg@3"] == pytest.approx((0.2 + 0.4) / 2)
    assert many.means["ndcg@3"] == pytest.approx((0.1 + 0.5) / 2)
    assert (few.other["ndcg@3"], many.other["ndcg@3"]) == (0, 1)
    assert middling.intervals == bootstrap_intervals({"ndcg@3": ndcg[[2, 5]]}, 200)


def test_groups_are_parted_between_counts_and_cover_all():
    counts = np.random.default_rng(0).geometric(0.05, 1000)
    groups = by_activity(counts, {"mrr": np.ones(1000)}, resamples=0)
    assert sum(group.users for group in groups) == 1000
    assert all(a.most < b.fewest for a, b in pairwise(groups))
    assert all(250 < group.users < 420 for group in groups)
    assert all(group.intervals == {} and group.other == {} for group in groups)


def test_users_with_equally_many_are_one_group():
    (only,) = by_activity(np.full(10, 4), {"mrr": np.arange(10.0)}, resamples=0)
    assert (only.name, only.users, only.fewest, only.most) == ("few", 10, 4, 4)
    names = [group.name for group in by_activity(np.array([2] * 6 + [9]), {"mrr": np.ones(7)}, resamples=0)]
    assert names == ["few", "many"]
