"""A query for a user that the model was not trained on, from a list of items."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from pipelines.errors import InputError


@dataclass(frozen=True)
class FoldIn:
    """Strengths of the ridge regression of `fold_in`. Both are free of the scale of the item factors.

    The defaults are the best of `gdns_tf.studies.fold_in` on validation items of MovieLens-1M: savedmodel/RETRIEVAL.md.
    """

    alpha: float = 0.003
    """Weight of the wish for score 0, which holds for every item, beside that for score 1 of the history's."""
    l2: float = 100.0
    """Weight of the query's squared norm, in units of the mean squared item factor."""

    def __post_init__(self) -> None:
        """Raises InputError for values that leave the query undetermined."""
        if not (0 <= self.alpha < float("inf") and 0 < self.l2 < float("inf")):
            raise InputError(
                f"`fold_in_alpha`={self.alpha} and `fold_in_l2`={self.l2} cannot be used",
                remedy="alpha must be 0 or more, and l2 above 0.",
            )


def penalty(item_factors: np.ndarray, strengths: FoldIn) -> np.ndarray:
    """What the regression holds against a query, whatever the history: alpha F^T F + l2 mean(F^2) I.

    Args:
      item_factors: F [num_items, d].
      strengths: alpha and l2.

    Returns:
      [d, d] float64, positive definite.
    """
    factors = item_factors.astype(np.float64)
    scale = np.mean(factors**2) or 1.0
    return strengths.alpha * (factors.T @ factors) + strengths.l2 * scale * np.eye(factors.shape[1])


def encode(vectors: tf.Tensor, power: tf.Tensor, history: tf.Tensor) -> tf.Tensor:
    """The query of each row by a model that makes queries of histories: |C|^-power * sum of the items' vectors.

    Args:
      vectors: [num_items, d] float32.
      power: [] float32.
      history: [batch, n] int32 item numbers; below 0 there is none. An item that is listed more than once counts once.

    Returns:
      [batch, d] float32; zero for an empty history.
    """
    history, counts = _once(history)
    total = tf.reduce_sum(counts, axis=1, keepdims=True)
    sums = tf.einsum("bn,bnd->bd", counts, tf.gather(vectors, tf.maximum(history, 0)))
    return sums * tf.maximum(total, 1.0) ** -power


def _once(history: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The history [batch, n] in ascending order, and 1 for each of its items and 0 for repeats and padding, float32."""
    history = tf.sort(history, axis=1)
    repeats = tf.concat([tf.zeros_like(history[:, :1], tf.bool), history[:, 1:] == history[:, :-1]], axis=1)
    return history, tf.cast((history >= 0) & ~repeats, tf.float32)


def fold_in(item_factors: tf.Tensor, penalty: tf.Tensor, history: tf.Tensor) -> tf.Tensor:
    """Solves for the query x of each row, against fixed item factors f_i.

    x minimises sum_{i in history} (x . f_i - 1)^2 + alpha sum_{all i} (x . f_i)^2 + l2 mean(f^2) |x|^2: one user's step
    of implicit alternating least squares (Hu et al., 2008; in the form of Rendle et al., 2022). An item that is listed
    more than once counts once.

    Args:
      item_factors: [num_items, d] floating.
      penalty: [d, d] float64, see `penalty`.
      history: [batch, n] int32 item numbers; below 0 there is none.

    Returns:
      [batch, d] float32; zero for an empty history.
    """
    history, counts = _once(history)
    counts = tf.cast(counts, tf.float64)[..., None]
    rows = tf.cast(tf.gather(item_factors, tf.maximum(history, 0)), tf.float64) * counts
    root = tf.linalg.cholesky(tf.matmul(rows, rows, transpose_a=True) + penalty)
    wanted = tf.reduce_sum(rows, axis=1)[..., None]
    return tf.cast(tf.linalg.cholesky_solve(root, wanted)[..., 0], tf.float32)
