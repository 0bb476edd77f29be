"""The multinomial likelihood of a user's items, where the sum over all others is estimated from a sample."""

import tensorflow as tf


def negative_log_likelihood(scores: tf.Tensor, row_of: tf.Tensor, counts: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """-mean_{i in C_u} log of exp(r_ui) / (sum_{i in C_u} exp(r_ui) + sum_j exp(logit_uj)), for each user u.

    Args:
      scores: [n] float32: r_ui of all items of the users, one user's after the other's.
      row_of: [n] int32: whose they are, ascending, without a gap.
      counts: [batch] float32: how many each user has.
      logits: [batch, m] float32: of the sample, r_uj - log(how often j was expected in it); -inf: takes no part.

    Returns:
      [batch] float32.
    """
    most = tf.maximum(tf.math.segment_max(scores, row_of), tf.reduce_max(logits, axis=1))
    most = tf.stop_gradient(most)
    total = tf.math.segment_sum(tf.exp(scores - tf.gather(most, row_of)), row_of)
    total += tf.reduce_sum(tf.exp(logits - most[:, None]), axis=1)
    return most + tf.math.log(total) - tf.math.segment_sum(scores, row_of) / counts
