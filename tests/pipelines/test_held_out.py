"""Held-out items as rows over users, one user at a time."""

import numpy as np
import pytest

from pipelines.held_out import HeldOut

PART = HeldOut.of_pairs(np.array([1, 1, 4, 6, 6, 6]), np.array([9, 3, 7, 2, 8, 5])).with_negatives(
    np.arange(9, dtype=np.int32).reshape(3, 3)
)


def test_rows_are_of_the_users_that_have_items():
    assert PART.users.tolist() == [1, 4, 6]
    assert [PART.of(user).tolist() for user in range(8)] == [[], [9, 3], [], [], [7], [], [2, 8, 5], []]
    assert PART.rows.tolist() == [0, 0, 1, 2, 2, 2]
    assert PART.offsets_over(8).tolist() == [0, 0, 2, 2, 2, 3, 3, 6, 6]
    assert PART.several
    assert not PART.is_one_each(3)


@pytest.mark.parametrize("users", [[6, 0, 1], [0, 2], [4], list(range(8))])
def test_some_users_in_any_order(users):
    some = PART.select(np.array(users), 8)
    for number, user in enumerate(users):
        assert some.of(number).tolist() == PART.of(user).tolist()
    former = [users[number] for number in some.users]
    np.testing.assert_array_equal(some.negatives, PART.negatives[np.searchsorted(PART.users, former)])


def test_one_each():
    one = HeldOut.one_each(np.array([5, 3], np.int32), np.zeros((2, 4), np.int32))
    assert one.is_one_each(2)
    assert not one.is_one_each(3)
    assert [array.tolist() for array in one.pairs] == [[0, 1], [5, 3]]
