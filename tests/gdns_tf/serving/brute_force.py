"""What the exported model should answer, in NumPy and plain Python, one user at a time."""

import numpy as np

NEAR = 2e-6
"""Scores this close, relative to the largest, may stand in either order: float32 sums depend on their order."""


def scores_of(factors, user):
    """[num_items] float64."""
    return factors.items.astype(np.float64) @ factors.queries[user].astype(np.float64)


def ranking(scores, eligible):
    """Eligible item numbers, highest score first, ties in the order of the items."""
    return [int(item) for item in np.argsort(-scores, kind="stable") if eligible[item]]


def seen_by(dataset, user):
    """The user's items in training, validation and test."""
    return {item for part in (dataset.train, dataset.valid, dataset.test) for item in part.of(user).tolist()}


def unseen(dataset, user):
    """[num_items] bool."""
    mask = np.ones(dataset.train.num_items, bool)
    mask[list(seen_by(dataset, user))] = False
    return mask


def assert_best(numbers, given_scores, scores, eligible):
    """Checks one row of an answer against all scores, honest about near-ties.

    Args:
      numbers: [k] item numbers that were given, -1 for padding.
      given_scores: [k] their scores.
      scores: [num_items] float64, right.
      eligible: [num_items] bool.
    """
    expected = ranking(scores, eligible)[: len(numbers)]
    filled = len(expected)
    assert list(numbers[filled:]) == [-1] * (len(numbers) - filled)
    assert set(given_scores[filled:].tolist()) <= {float(np.finfo(np.float32).min)}
    tolerance = NEAR * max(1.0, float(np.abs(scores).max()))
    np.testing.assert_allclose(given_scores[:filled], scores[numbers[:filled]], rtol=0, atol=tolerance)
    # Where the order differs, the two items' right scores must be a near-tie.
    np.testing.assert_allclose(scores[numbers[:filled]], scores[expected], rtol=0, atol=tolerance)
    assert len(set(numbers[:filled].tolist())) == filled
    assert eligible[numbers[:filled]].all()
    return int((np.asarray(expected) != numbers[:filled]).sum())
