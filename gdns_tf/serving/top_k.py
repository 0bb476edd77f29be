"""Exact top-k of long rows, in standard ops: several times as fast on CPUs as `tf.math.top_k` alone."""

import numpy as np
import tensorflow as tf

_BLOCK = 32
_PAYS_FROM = 4
"""Blocks per k from which two stages are faster than one (measured, see savedmodel/RETRIEVAL.md)."""

_SHORT = 2**15
"""Columns up to which a copy of the scores costs less than to go without one: most of the time goes elsewhere."""


def top_k(scores: tf.Tensor, k: int | tf.Tensor, never: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """The k highest scores of each row, best first; equal ones in the order of the columns, as in `tf.math.top_k`.

    `tf.math.top_k` spends most of its time on the columns that it turns down, and beyond some 20,000 columns it, not
    the matrix product before it, is what exact retrieval waits for. So the columns go in blocks, of which only the k
    with the highest maxima are looked into. That is exact, also where scores are equal: a column outside those blocks
    has k blocks before it, each of which holds a column that is higher, or as high and further to the left.

    Use it in place of `tf.math.top_k` in any graph. What is not to be found is named in `never`: that touches only the
    blocks in which it lies, where a scatter of -inf would copy all scores.

    Args:
      scores: [batch, n] floating, free of NaN; n need not be known when the graph is made.
      k: how many, at least 1; above n it counts as n. A number, or an integer tensor [] for a k that is known only when
        the graph runs.
      never: [m, 2] int64 places (row, column), in any order, repeats allowed, whose scores count as -inf.

    Returns:
      Values [batch, k] of the scores' type, and columns [batch, k] int32.
    """
    known = scores.shape[1]
    if never is not None and known is not None and known <= _SHORT:
        scores, never = _lowered(scores, never), None
    if isinstance(k, int) and known is not None and known < _PAYS_FROM * k * _BLOCK:
        scores = scores if never is None else _lowered(scores, never)
        return tuple(tf.math.top_k(scores, min(k, known)))
    batch, n = tf.unstack(tf.shape(scores))
    k = min(k, known) if isinstance(k, int) and known is not None else tf.minimum(tf.cast(k, tf.int32), n)
    num_blocks = -(-n // _BLOCK)
    # Padding is never among the k <= n best: even of columns at -inf, it is the last. It copies nothing where it is 0.
    padded = tf.pad(scores, [[0, 0], [0, num_blocks * _BLOCK - n]], constant_values=_lowest(scores))
    padded = tf.reshape(padded, [batch, num_blocks, _BLOCK])
    maxima = tf.reduce_max(padded, axis=2)
    if never is not None:
        masked, blocks_of_masked = _masked_blocks(padded, never)
        flat = tf.tensor_scatter_nd_update(
            tf.reshape(maxima, [-1]), blocks_of_masked[:, None], tf.reduce_max(masked, axis=1)
        )
        maxima = tf.reshape(flat, [batch, num_blocks])
    looked_into = tf.minimum(k, num_blocks)
    blocks = tf.math.top_k(maxima, looked_into, sorted=False).indices
    blocks = tf.sort(blocks, axis=1)  # so that the second stage meets equal scores in the order of the columns
    candidates = tf.gather(padded, blocks, batch_dims=1)
    if never is not None:
        candidates = _with_blocks(candidates, blocks, num_blocks, masked, blocks_of_masked)
    values, found = tf.math.top_k(tf.reshape(candidates, [batch, looked_into * _BLOCK]), k)
    return values, tf.gather(blocks, found // _BLOCK, batch_dims=1) * _BLOCK + found % _BLOCK


def _lowest(scores: tf.Tensor) -> np.floating:
    return scores.dtype.as_numpy_dtype(-np.inf)


def _lowered(scores: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """A copy, with -inf at places [m, ...]."""
    return tf.tensor_scatter_nd_update(scores, places, tf.fill(tf.shape(places)[:1], _lowest(scores)))


def _masked_blocks(padded: tf.Tensor, never: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The blocks [u, 32] in which some `never` lies, with -inf there; and their numbers [u] int64 among all rows'."""
    batch, num_blocks = tf.shape(padded)[0], tf.shape(padded, tf.int64)[1]
    numbers, which = tf.unique(never[:, 0] * num_blocks + never[:, 1] // _BLOCK, tf.int64)
    blocks = tf.gather(tf.reshape(padded, [batch * tf.cast(num_blocks, tf.int32), _BLOCK]), numbers)
    return _lowered(blocks, tf.stack([which, never[:, 1] % _BLOCK], axis=1)), numbers


def _with_blocks(
    candidates: tf.Tensor, blocks: tf.Tensor, num_blocks: tf.Tensor, masked: tf.Tensor, numbers: tf.Tensor
) -> tf.Tensor:
    """Puts masked blocks [u, 32] among the candidates [batch, looked_into, 32], those `blocks` of each row."""
    batch, looked_into = tf.unstack(tf.shape(blocks))
    first = tf.range(tf.cast(batch, tf.int64))[:, None] * tf.cast(num_blocks, tf.int64)
    chosen = tf.reshape(first + tf.cast(blocks, tf.int64), [-1])  # ascends, as it does in each row
    place = tf.searchsorted(chosen, numbers, out_type=tf.int64)
    is_chosen = tf.equal(tf.gather(tf.concat([chosen, [-1]], axis=0), place), numbers)
    flat = tf.tensor_scatter_nd_update(
        tf.reshape(candidates, [batch * looked_into, _BLOCK]),
        tf.boolean_mask(place, is_chosen)[:, None],
        tf.boolean_mask(masked, is_chosen),
    )
    return tf.reshape(flat, tf.shape(candidates))
