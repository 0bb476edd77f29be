"""L2 norms with a gradient of one operation."""

import tensorflow as tf


def weighted_squares(table: tf.Variable | tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Half the sum of weights[j] * |table[j]|^2.

    Args:
      table: [n, d] float32.
      weights: [n] float32; no gradient flows into them.

    Returns:
      [] float32.
    """

    @tf.custom_gradient
    def forward(values: tf.Tensor) -> tuple:
        weighted = weights[:, None] * values
        return 0.5 * tf.tensordot(weighted, values, 2), lambda upstream: upstream * weighted

    return forward(tf.convert_to_tensor(table))
