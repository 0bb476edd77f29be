"""Settings to try: the defaults first, then points that lie apart."""

import numpy as np
import pytest

from gdns_tf.studies.search import Range, alternatives


def test_a_range_is_even_on_a_log_scale():
    assert [Range(0.01, 1).at(x) for x in (0, 0.5, 1)] == pytest.approx([0.01, 0.1, 1])
    assert Range(1, 100, whole=True).at(0.3) == 4  # of 3.98
    assert Range(1, 2).at(0.5) == 1.41


def test_points_are_even_and_more_of_them_begin_with_the_same():
    space = {"a": Range(1, 100), "b": Range(5, 10)}
    tried = alternatives(space, 9)
    assert tried[0] == {}
    assert alternatives(space, 4) == tried[:4]
    places = np.sort([np.log(option["a"]) / np.log(100) for option in tried[1:]])
    assert np.diff(places).max() < 0.26  # eight points of base 2: no gap of more than a quarter
    assert len({option["b"] for option in tried[1:]}) == 8
    assert all(5 <= option["b"] <= 10 for option in tried[1:])


def test_without_anything_to_vary_there_are_the_defaults():
    assert alternatives({}, 5) == [{}]
    assert alternatives({"a": Range(1, 2)}, 1) == [{}]
