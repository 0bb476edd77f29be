"""The draws are TensorFlow's own, and the same numbers under XLA."""

import numpy as np
import pytest
import tensorflow as tf

from gdns_tf.models import stateless

SEEDS = [[0, 0], [7, 2**31], [2**40 + 7, -5], [-(2**63), 2**63 - 1]]
VALUES = tf.reshape(tf.linspace(-3.0, 4.0, 231), [33, 7])
DRAWS = {
    "uniform": (
        lambda seed: stateless.uniform([13, 9], seed),
        lambda seed: tf.random.stateless_uniform([13, 9], seed),
    ),
    "uniform between": (
        lambda seed: stateless.uniform([50], seed, 1e-20, 0.3),
        lambda seed: tf.random.stateless_uniform([50], seed, 1e-20, 0.3),
    ),
    "dropout": (
        lambda seed: stateless.dropout(VALUES, 0.3, seed),
        lambda seed: tf.nn.experimental.stateless_dropout(VALUES, 0.3, seed),
    ),
    "split": (
        lambda seed: stateless.split(seed, 5),
        lambda seed: tf.random.experimental.stateless_split(seed, 5),
    ),
    "fold_in": (
        lambda seed: stateless.fold_in(seed, seed[1]),
        lambda seed: tf.random.experimental.stateless_fold_in(seed, seed[1]),
    ),
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_as_tensorflow_does_compiled_or_not(name):
    ours, theirs = DRAWS[name]

    @tf.function(jit_compile=True, autograph=False)
    def compiled(seed):
        with stateless.for_xla():
            return ours(seed)

    for seed in SEEDS:
        seed = tf.constant(seed, tf.int64)
        expected = theirs(seed).numpy()
        np.testing.assert_array_equal(ours(seed), expected)
        np.testing.assert_array_equal(compiled(seed), expected)


def test_what_is_traced_after_a_compiled_step_draws_by_tensorflow_again():
    with pytest.raises(ZeroDivisionError), stateless.for_xla():
        raise ZeroDivisionError
    graph = tf.function(lambda: stateless.uniform([3], [1, 2])).get_concrete_function().graph
    assert "Bitcast" not in {operation.type for operation in graph.get_operations()}
