"""The moving average against its closed form."""

import numpy as np
import pytest
import tensorflow as tf

from gdns_tf.models.moving_average import WeightAverage


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.97])
def test_closed_form(decay):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 3)).astype(np.float32)
    variable = tf.Variable(rng.normal(size=3).astype(np.float32))
    average = WeightAverage([variable], decay)
    expected = variable.numpy()
    for epoch, value in enumerate(values, start=1):
        variable.assign(value)
        average.update(tf.constant(float(epoch)))
        keep = min(decay, (1 + epoch) / (10 + epoch)) if decay else 0.0
        expected = keep * expected + (1 - keep) * value
    np.testing.assert_allclose(average.variables_[0], expected, rtol=1e-5)
    if not decay:
        np.testing.assert_array_equal(average.variables_[0], values[-1])
