"""The k-th smallest of numbers that lie in several sorted files, without having them all in memory."""

from collections.abc import Sequence

import numpy as np

_SIGN = np.int64(-(2**63))


def order_statistics(parts: Sequence[np.ndarray], places: Sequence[int]) -> list[float]:
    """The numbers that would stand at these places, from 0, were all parts sorted together.

    Args:
      parts: of finite float64, each ascending; they may be mapped from files.
      places: below the number of all.
    """
    return [_at(parts, place) for place in places]


def _at(parts: Sequence[np.ndarray], place: int) -> float:
    """By bisection over the 64 bits of a float64, which as whole numbers are in the order of the numbers."""
    low, high = -(2**63), 2**63 - 1
    while low < high:  # the smallest value of which, or of less, there are more than `place`
        middle = (low + high) // 2
        value = _value(middle)
        if np.isnan(value):  # beyond infinity on either side
            low, high = (middle + 1, high) if middle < 0 else (low, middle)
        elif sum(int(np.searchsorted(part, value, side="right")) for part in parts) > place:
            high = middle
        else:
            low = middle + 1
    return float(_value(low) + 0.0)


def _value(key: int) -> np.float64:
    """The float64 of a whole number, ascending with it."""
    bits = np.int64(key)
    return (bits if bits >= 0 else np.int64(_SIGN - bits - 1)).view(np.float64)
