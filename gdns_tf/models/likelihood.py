"""The multinomial likelihood of what users have, over the whole catalogue, by blocks of items."""

import numpy as np
import tensorflow as tf

_SMALLEST = float(np.finfo(np.float32).tiny)
CELLS = 2**24
"""Scores to hold at a time: 64 MB, of which a step has a few."""


def negative_log_likelihood(
    queries: tf.Tensor,
    table: tf.Variable | tf.Tensor,
    row_of: tf.Tensor,
    items: tf.Tensor,
    shares: tf.Tensor,
    block: int,
) -> tf.Tensor:
    """-sum_n shares[n] log softmax(scores of the user)[items[n]] over a user's pairs n; their shares sum to 1.

    The scores of one block of items at a time are held, so that memory is bounded by [batch, block] whatever the size
    of the catalogue. Of several blocks the gradient scores anew: a third more work for the bound. The gradient of the
    scores, softmax less shares, is built whole before it goes on to queries and items: the pairs cost next to nothing.

    Args:
      queries: [batch, d] float32.
      table: [num_items, d] float32 item factors.
      row_of: [n] int32 rows of `queries`.
      items: [n] int32.
      shares: [n] float32; no gradient flows into them.
      block: items whose scores are held at a time; a smaller catalogue is one block.

    Returns:
      [batch] float32; of a catalogue of one block an item's term is 87 at most, which the gradient does not know.
    """
    if table.shape[0] <= block:
        return _at_once(queries, table, tf.stack([row_of, items], axis=1), shares)
    return _by_blocks(queries, table, row_of, items, shares, block)


def _at_once(queries: tf.Tensor, table: tf.Tensor, pairs: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """Of one block, in few passes over the scores: a softmax, in whose place its gradient is made."""

    @tf.custom_gradient
    def forward(queries: tf.Tensor, values: tf.Tensor) -> tuple:
        probabilities = tf.nn.softmax(tf.matmul(queries, values, transpose_b=True))
        # What underflows counts as the smallest number: a loss of 87 at most, of no effect on the gradient.
        logs = tf.math.log(tf.maximum(tf.gather_nd(probabilities, pairs), _SMALLEST))
        losses = tf.math.unsorted_segment_sum(-shares * logs, pairs[:, 0], tf.shape(queries)[0])

        def backward(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_scores = tf.tensor_scatter_nd_sub(probabilities, pairs, shares)
            of_queries = upstream[:, None] * tf.matmul(of_scores, values)
            return of_queries, tf.matmul(of_scores, upstream[:, None] * queries, transpose_a=True)

        return losses, backward

    return forward(queries, tf.convert_to_tensor(table))


def _by_blocks(
    queries: tf.Tensor, table: tf.Tensor, row_of: tf.Tensor, items: tf.Tensor, shares: tf.Tensor, block: int
) -> tf.Tensor:
    num_items = table.shape[0]
    starts = range(0, num_items, block)

    def listed(start: int, size: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The pairs of a block: [m, 2] (row, place in the block); [m] shares."""
        inside = (items >= start) & (items < start + size)
        at = tf.stack([row_of, items - start], axis=1)
        return tf.boolean_mask(at, inside), tf.boolean_mask(shares, inside)

    @tf.custom_gradient
    def forward(queries: tf.Tensor, values: tf.Tensor) -> tuple:
        logs, wanted = [], tf.zeros(tf.shape(queries)[:1])
        for start in starts:
            part = values[start : start + block]
            scores = tf.matmul(queries, part, transpose_b=True)
            logs.append(tf.reduce_logsumexp(scores, axis=1))
            at, weights = listed(start, part.shape[0])
            wanted += tf.math.unsorted_segment_sum(weights * tf.gather_nd(scores, at), at[:, 0], tf.shape(queries)[0])
        log_sum = tf.reduce_logsumexp(tf.stack(logs), axis=0)

        def backward(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_queries, of_items = tf.zeros_like(queries), []
            for start in starts:
                part = values[start : start + block]
                of_scores = tf.exp(tf.matmul(queries, part, transpose_b=True) - log_sum[:, None])
                of_scores = tf.tensor_scatter_nd_sub(of_scores, *listed(start, part.shape[0]))
                of_queries += upstream[:, None] * tf.matmul(of_scores, part)
                of_items.append(tf.matmul(of_scores, upstream[:, None] * queries, transpose_a=True))
            return of_queries, tf.concat(of_items, axis=0)

        return log_sum - wanted, backward

    return forward(queries, tf.convert_to_tensor(table))
