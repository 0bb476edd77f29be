"""What a DataConfig takes, and what it refuses by name."""

from pathlib import Path

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.errors import InputError


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"min_rating": float("nan")}, "`min_rating`=nan must be a finite number"),
        ({"min_rating": float("inf")}, "`min_rating`=inf must be a finite number"),
        ({"min_rating": "4"}, "`min_rating`='4' must be a number"),
        ({"min_user_items": 0}, "`min_user_items`=0 must be at least 1"),
        ({"min_user_items": 6.0}, "`min_user_items`=6.0 must be a whole number"),
        ({"min_item_users": 0}, "`min_item_users`=0 must be at least 1"),
        ({"min_item_users": True}, "`min_item_users`=True must be a whole number"),
        ({"split_seed": -1}, "`split_seed`=-1 must be 0 or more"),
        ({"planted_users": 0}, "`planted_users`=0 must be at least 1"),
        ({"planted_items": -3}, "`planted_items`=-3 must be at least 1"),
        ({"planted_seed": -1}, "`planted_seed`=-1 must be 0 or more"),
        ({"duplicates": "lats"}, "`duplicates`=lats is not known; did you mean 'last'"),
        ({"user_column": 3}, "`user_column`=3 must be text"),
    ],
)
def test_bad_values_name_the_field(changes, says):
    with pytest.raises(InputError, match=says):
        DataConfig(**changes)


def test_numbers_of_numpy_and_paths_are_taken():
    config = DataConfig(min_user_items=np.int32(7), min_rating=3, data_dir=Path("some") / "where")
    assert (config.min_user_items, config.min_rating, config.data_dir) == (7, 3.0, "some/where")
    assert [type(value) for value in (config.min_user_items, config.min_rating, config.data_dir)] == [int, float, str]
