"""The normaliser of a softmax over the whole catalogue, by blocks of items."""

import tensorflow as tf

BLOCK = 2**14
"""Items whose scores are held at a time; a smaller catalogue is one block."""


def log_normalisers(queries: tf.Tensor, table: tf.Variable | tf.Tensor, block: int = BLOCK) -> tf.Tensor:
    """log sum_j exp(query . table[j]) over all items j.

    The scores of one block of items at a time are held, so that memory is bounded by [batch, block] whatever the size
    of the catalogue. Of several blocks the gradient scores anew: a third more work for the bound.

    Args:
      queries: [batch, d] float32.
      table: [num_items, d] float32 item factors.
      block: items a block.

    Returns:
      [batch] float32.
    """
    num_items = table.shape[0]
    starts = range(0, num_items, block)

    @tf.custom_gradient
    def forward(queries: tf.Tensor, values: tf.Tensor) -> tuple:
        scores = tf.matmul(queries, values[: min(block, num_items)], transpose_b=True)
        logs = tf.reduce_logsumexp(scores, axis=1)
        for start in starts[1:]:
            others = tf.matmul(queries, values[start : start + block], transpose_b=True)
            logs = tf.reduce_logsumexp(tf.stack([logs, tf.reduce_logsumexp(others, axis=1)]), axis=0)

        def backward(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_queries, of_items = tf.zeros_like(queries), []
            for start in starts:
                part = values[start : start + block]
                again = scores if len(starts) == 1 else tf.matmul(queries, part, transpose_b=True)
                shares = tf.exp(again - logs[:, None]) * upstream[:, None]
                of_queries += tf.matmul(shares, part)
                of_items.append(tf.matmul(shares, queries, transpose_a=True))
            return of_queries, tf.concat(of_items, axis=0)

        return logs, backward

    return forward(queries, tf.convert_to_tensor(table))
