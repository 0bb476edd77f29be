"""The optimisers by name, and how their rate goes over the epochs."""

import math

import tensorflow as tf


class Adam(tf.keras.optimizers.Adam):
    """Adam (Kingma & Ba, 2015) with beta2 = .99, for runs of a thousand steps, and a fused update on a CPU.

    Keras's own takes a kernel for each arithmetic operation, which takes longer than the rest of a small step.
    """

    def __init__(self, **options: object) -> None:
        super().__init__(beta_2=0.99, **options)

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        if isinstance(gradient, tf.IndexedSlices) or self.jit_compile:
            super().update_step(gradient, variable)
            return
        key, step = self._var_key(variable), tf.cast(self.iterations + 1, variable.dtype)
        at = self._index_dict[key]
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[at].handle,
            v=self._velocities[at].handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(self.learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class Adagrad(tf.keras.optimizers.Adagrad):
    """Adagrad (Duchi et al., 2011) with a fused update on a CPU, of the rows alone that have a gradient.

    Keras adds epsilon, 1e-8, under the root, the fused update to it: the same to float32, as squares are .1 or more.
    """

    def __init__(self, *, jit_compile: bool, **options: object) -> None:
        super().__init__(initial_accumulator_value=0.1, epsilon=1e-8, jit_compile=jit_compile, **options)
        self._compiled = jit_compile  # Keras forgets its own where there is no GPU

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        if self._compiled:  # XLA has no update of some rows
            super().update_step(gradient, variable)
            return
        squares = self._accumulators[self._index_dict[self._var_key(variable)]]
        common = {
            "var": variable.handle,
            "accum": squares.handle,
            "lr": tf.cast(self.learning_rate, variable.dtype),
            "epsilon": self.epsilon,
        }
        if isinstance(gradient, tf.IndexedSlices):
            tf.raw_ops.ResourceSparseApplyAdagradV2(grad=gradient.values, indices=gradient.indices, **common)
        else:
            tf.raw_ops.ResourceApplyAdagradV2(grad=gradient, **common)


def make_optimizer(name: str, learning_rate: float, jit_compile: bool) -> tf.keras.optimizers.Optimizer:
    """The optimiser of a name in OPTIMIZERS."""
    options = {"learning_rate": learning_rate, "jit_compile": jit_compile}
    return {"adagrad": Adagrad, "adam": Adam, "sgd": tf.keras.optimizers.SGD}[name](**options)


WARM_UP = 0.05
"""Share of the epochs in which a cosine schedule rises to its full rate."""


def rate_of_epoch(learning_rate: float, schedule: str, epoch: int, max_epochs: int) -> float:
    """The learning rate of an epoch, counted from 0: constant, or a rise and then half a cosine down to 0."""
    if schedule == "constant":
        return learning_rate
    progress = (epoch + 0.5) / max_epochs
    return learning_rate * 0.5 * (1 + math.cos(math.pi * progress)) * min(1.0, progress / WARM_UP)
