"""Exact top-k of long rows, in standard ops: several times as fast on CPUs as `tf.math.top_k` alone."""

import numpy as np
import tensorflow as tf

_BLOCK = 32
_PAYS_FROM = 4
"""Blocks per k from which two stages are faster than one (measured, see savedmodel/RETRIEVAL.md)."""


def top_k(scores: tf.Tensor, k: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The k highest scores of each row, best first; equal ones in the order of the columns, as in `tf.math.top_k`.

    `tf.math.top_k` spends most of its time on the columns that it turns down, and beyond some 20,000 columns it, not
    the matrix product before it, is what exact retrieval waits for. So the columns go in blocks, of which only the k
    with the highest maxima are looked into. That is exact, also where scores are equal: a column outside those blocks
    has k blocks before it, each of which holds a column that is higher, or as high and further to the left.

    Use it in place of `tf.math.top_k` in any graph; set what is not to be found to -inf first.

    Args:
      scores: [batch, n] floating, free of NaN; n need not be known when the graph is made.
      k: how many, at least 1; above n it counts as n. A number, or an integer tensor [] for a k that is known only when
        the graph runs.

    Returns:
      Values [batch, k] of the scores' type, and columns [batch, k] int32.
    """
    known = scores.shape[1]
    if isinstance(k, int) and known is not None and known < _PAYS_FROM * k * _BLOCK:
        return tuple(tf.math.top_k(scores, min(k, known)))
    batch, n = tf.unstack(tf.shape(scores))
    k = min(k, known) if isinstance(k, int) and known is not None else tf.minimum(tf.cast(k, tf.int32), n)
    num_blocks = -(-n // _BLOCK)
    lowest = scores.dtype.as_numpy_dtype(-np.inf)
    # Padding is never among the k <= n best: even of columns at -inf, it is the last.
    padded = tf.pad(scores, [[0, 0], [0, num_blocks * _BLOCK - n]], constant_values=lowest)
    padded = tf.reshape(padded, [batch, num_blocks, _BLOCK])
    looked_into = tf.minimum(k, num_blocks)
    blocks = tf.math.top_k(tf.reduce_max(padded, axis=2), looked_into, sorted=False).indices
    blocks = tf.sort(blocks, axis=1)  # so that the second stage meets equal scores in the order of the columns
    candidates = tf.reshape(tf.gather(padded, blocks, batch_dims=1), [batch, looked_into * _BLOCK])
    values, found = tf.math.top_k(candidates, k)
    return values, tf.gather(blocks, found // _BLOCK, batch_dims=1) * _BLOCK + found % _BLOCK
