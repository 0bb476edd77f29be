"""Maximal marginal relevance, by its definition."""

import numpy as np
import pytest

from gdns_tf.clients.mmr import most_marginal


def by_definition(scores, cosines, strength, k):
    """Item after item, everything calculated anew."""
    low, high = min(scores), max(scores)
    chosen = []
    for _ in range(min(k, len(scores))):
        values = {}
        for item in range(len(scores)):
            if item not in chosen:
                relevance = (scores[item] - low) / (high - low) if high > low else 0.0
                values[item] = (1 - strength) * relevance
                if chosen:
                    values[item] -= strength * max(cosines[item][other] for other in chosen)
        chosen.append(max(values, key=values.get))  # of equals the first
    return chosen


@pytest.mark.parametrize("strength", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("k", [1, 4, 50])
def test_the_list_is_that_of_the_definition(strength, k):
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = rng.normal(size=(9, 3))
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        scores = np.sort(rng.normal(size=9) * 10 ** rng.uniform(-3, 3))[::-1]
        assert most_marginal(scores, unit @ unit.T, strength, k).tolist() == by_definition(
            scores.tolist(), (unit @ unit.T).tolist(), strength, k
        )


def test_the_scale_of_scores_does_not_matter_and_equal_scores_are_no_trouble():
    rng = np.random.default_rng(1)
    cosines, scores = np.corrcoef(rng.normal(size=(8, 5))), rng.normal(size=8)
    expected = most_marginal(scores, cosines, 0.4, 8).tolist()
    assert most_marginal(1e6 * scores - 3e7, cosines, 0.4, 8).tolist() == expected
    assert sorted(expected) == list(range(8))
    assert most_marginal(np.ones(3), np.eye(3), 0.0, 3).tolist() == [0, 1, 2]
    assert most_marginal(np.empty(0), np.empty((0, 0)), 0.3, 5).tolist() == []


def test_a_copy_of_the_best_waits_for_others():
    cosines = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert most_marginal(np.array([3.0, 2.9, 1.5]), cosines, 0.5, 3).tolist() == [0, 2, 1]
