"""Systems compared with a baseline, user by user and seed by seed."""

import numpy as np
import pytest

from gdns_tf.evaluation.metrics import Ranks
from gdns_tf.studies.comparison import compare_all, compare_pairs, per_user


def test_compare_all_pairs_users_and_leaves_the_baseline_out():
    rng = np.random.default_rng(3)
    base = rng.random((2, 500))
    compared = compare_all({"a": base + 0.01, "base": base, "b": rng.random((2, 500))}, "base")
    assert list(compared) == ["a", "b"]
    # Every user gains the same: no resample can turn that around.
    assert compared["a"].low == pytest.approx(0.01)
    assert compared["a"].adjusted == pytest.approx(2 * compared["a"].p_value)
    assert compared["b"].low < 0 < compared["b"].high
    assert compare_all({"base": base}, "base") == {}


def test_compare_pairs_compares_each_with_one_of_its_own():
    rng = np.random.default_rng(3)
    base, other = rng.random((2, 500)), rng.random((1, 500))
    pairs = {"a": (base - 0.01, base), "b": (np.broadcast_to(other, (2, 500)), np.broadcast_to(other, (2, 500)))}
    compared = compare_pairs(pairs)
    assert compared["a"].high == pytest.approx(-0.01)
    assert compared["a"].adjusted == pytest.approx(2 * compared["a"].p_value)
    assert (compared["b"].difference, compared["b"].adjusted) == (0, 1)


def test_per_user_by_hand():
    values = per_user([Ranks.one_each(np.array(places)) for places in ([0, 1, 5], [2, 3, 0])], "ndcg@3")
    np.testing.assert_allclose(values, [[1, 1 / np.log2(3), 0], [0.5, 0, 1]])
