"""What each item of a user's history adds to the score of another item."""

import tensorflow as tf


def shares_of_encoded(vectors: tf.Tensor, power: tf.Tensor, history: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Of a model that makes queries of histories, exactly: |C|^-power A_j . Q_i, which sum to the score of i.

    Args:
      vectors: A [num_items, d] float32.
      power: [] float32.
      history: [batch, n] int32 item numbers without repeats; below 0 there is none.
      factors: Q_i [batch, m, d] float32 of the items to explain.

    Returns:
      [batch, m, n] float32; without meaning where the history has no item.
    """
    counts = tf.reduce_sum(tf.cast(history >= 0, tf.float32), axis=1)
    scale = tf.maximum(counts, 1.0) ** -power
    return tf.einsum("bnd,bmd->bmn", tf.gather(vectors, tf.maximum(history, 0)), factors) * scale[:, None, None]


def shares_of_fold_in(item_factors: tf.Tensor, penalty: tf.Tensor, history: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Of a model with a row a user: of the score that folding in the history would give, f_i^T W^-1 f_j.

    The user's own row was learnt with all others at once and has no such sum. The row that solves the least squares of
    their history alone has: with W = sum_{j in history} f_j f_j^T + penalty it is W^-1 sum_j f_j (Hu, Koren & Volinsky,
    ICDM 2008, section 5). So this explains the score of `fold_in`, which is like the model's and not the same.

    Args:
      item_factors: [num_items, d] floating.
      penalty: [d, d] float64, see `gdns_tf.serving.fold_in.penalty`.
      history, factors: as of `shares_of_encoded`.

    Returns:
      [batch, m, n] float32.
    """
    has = tf.cast(history >= 0, tf.float64)[..., None]
    rows = tf.cast(tf.gather(item_factors, tf.maximum(history, 0)), tf.float64) * has
    root = tf.linalg.cholesky(tf.matmul(rows, rows, transpose_a=True) + penalty)
    solved = tf.linalg.cholesky_solve(root, tf.cast(tf.linalg.matrix_transpose(factors), tf.float64))
    return tf.cast(tf.einsum("bnd,bdm->bmn", rows, solved), tf.float32)
