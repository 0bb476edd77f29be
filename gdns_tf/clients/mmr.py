"""Lists that are less of one kind: maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998)."""

import numpy as np

CANDIDATES = 100
"""The best items of a user among which a list is chosen, or as many as it is long if that is more."""


def most_marginal(scores: np.ndarray, cosines: np.ndarray, strength: float, k: int) -> np.ndarray:
    """Chooses one item after the other: each time that with the highest

      (1 - strength) * relevance - strength * (its largest cosine with those chosen so far; 0 for the first).

    Relevance is the score on a scale from 0, the lowest of these items, to 1, the highest: scores have no scale of
    their own that cosines could be set against. So the strength means the same for every model and user.

    Args:
      scores: [n] of a user's items.
      cosines: [n, n] between them.
      strength: in [0, 1]: 0 leaves the order of scores, 1 looks at nothing but likeness.
      k: how many to choose.

    Returns:
      [min(k, n)] places, in the order of their choice; of equals the first comes first.
    """
    spread = np.ptp(scores) if len(scores) else 0.0
    relevance = (scores.astype(np.float64) - scores.min(initial=np.inf)) / (spread or 1.0)
    likeness, left, chosen = np.zeros(len(scores)), np.ones(len(scores), bool), []
    while len(chosen) < min(k, len(scores)):
        value = np.where(left, (1 - strength) * relevance - strength * likeness, -np.inf)
        best = int(np.argmax(value))
        likeness = np.maximum(likeness, cosines[best]) if chosen else cosines[best].astype(np.float64)
        left[best] = False
        chosen.append(best)
    return np.array(chosen, np.int64)
