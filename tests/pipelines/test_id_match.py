"""Which ids stand in two lists."""

import numpy as np
import pytest

from pipelines.id_match import match_ids


@pytest.mark.parametrize(
    ("former", "now", "pairs"),
    [
        ([5, 3, 9], [3, 4, 5], {(0, 2), (1, 0)}),
        (["b", "a"], ["a", "c", "b"], {(0, 2), (1, 0)}),
        ([7, 42, 0], ["42", "007", "x"], {(1, 0)}),  # a column of which one id is no number is text
        (["42", "7"], [42], {(0, 0)}),
        ([1, 2], [3], set()),
    ],
)
def test_the_same_ids_are_found_whatever_their_type(former, now, pairs):
    match = match_ids(np.array(former), np.array(now))
    assert set(zip(match.former.tolist(), match.now.tolist(), strict=True)) == pairs
    assert (match.taken, match.new, match.gone) == (len(pairs), len(now) - len(pairs), len(former) - len(pairs))
    assert match.places.tolist() == [dict(pairs).get(place, -1) for place in range(len(former))]
