"""The fused updates against Keras's own, which take an operation at a time."""

import numpy as np
import pytest
import tensorflow as tf

from gdns_tf.training.optimizers import make_optimizer


@pytest.mark.parametrize("rows", [None, [4, 0, 4]])
def test_adagrad_is_keras_adagrad(rows):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(6, 3)).astype(np.float32)
    ends = []
    fused = make_optimizer("adagrad", 0.09, jit_compile=False)
    keras = tf.keras.optimizers.Adagrad(0.09, initial_accumulator_value=0.1, epsilon=1e-8, jit_compile=False)
    for optimizer in (fused, keras):
        variable, gradients = tf.Variable(start), np.random.default_rng(1)
        optimizer.build([variable])
        for _ in range(5):
            gradient = tf.constant(gradients.normal(size=(6 if rows is None else len(rows), 3)), tf.float32)
            if rows is not None:  # row 4 is listed twice: its gradients are to be added before they are squared
                gradient = tf.IndexedSlices(gradient, tf.constant(rows), tf.constant([6, 3]))
            optimizer.apply_gradients([(gradient, variable)])
        ends.append([variable.numpy(), optimizer.variables[-1].numpy()])
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
        assert (np.asarray(ours) != 0.1).any()
    if rows is not None:
        np.testing.assert_array_equal(ends[0][0][[1, 2, 3, 5]], start[[1, 2, 3, 5]])
