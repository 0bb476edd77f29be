"""What factors come to, and when they are no model."""

import numpy as np
import pytest

from gdns_tf.models.factors import Factors, HistorySum


def factors(rng, scale=1.0):
    users, items, weights = (scale * rng.normal(size=shape).astype(np.float32) for shape in ((5, 3), (7, 3), (3,)))
    return Factors(users, items, weights, HistorySum(scale * np.ones((7, 3), np.float32), 0.5))


@pytest.mark.parametrize("part", ["queries", "items", "dimension_weights", "vectors"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_found_wherever_it_is(part, value):
    model = factors(np.random.default_rng(0))
    array = model.encoder.vectors if part == "vectors" else getattr(model, part)
    assert model.fault() == ""
    array.flat[4 % array.size] = value
    assert "hold NaN or infinity" in model.fault()


def test_scores_are_numbers_wherever_no_fault_is_found():
    """Against the scores themselves, in float32, each in every order of its terms."""
    rng, found = np.random.default_rng(0), set()
    for exponent in np.linspace(16, 21, 60):
        model = factors(rng, 10**exponent)
        with np.errstate(over="ignore", invalid="ignore"):
            terms = model.queries[:, None] * model.items[None]
            sums = np.cumsum(terms[..., np.argsort(rng.random(3))], axis=2)
        if not model.fault():
            assert np.isfinite(sums).all()
        if not np.isfinite(sums).all():
            assert "beyond float32" in model.fault()
        found.add(bool(model.fault()))
    assert found == {True, False}
