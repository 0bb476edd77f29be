"""Users' observed items in the graph: all of a batch's, one after the other, and sums over them."""

import numpy as np
import tensorflow as tf

from gdns_tf.models.inner_products import sum_pairs_by_item
from pipelines.errors import InputError
from pipelines.interactions import Interactions


class Histories:
    """All observed pairs, as compressed sparse rows; no variable, so not part of a checkpoint."""

    def __init__(self, train: Interactions) -> None:
        """Args:
          train: the interactions.

        Raises:
          InputError: a user has no item.
        """
        if (without := np.flatnonzero(train.counts == 0)).size:
            raise InputError(
                f"user {train.user_ids[without[0]]} has no item in training, and so have {without.size - 1} others",
                remedy="Drop such users: nothing is known of them.",
            )
        self.num_users, self.num_items = train.num_users, train.num_items
        self._offsets, self._items = tf.constant(train.offsets, tf.int64), tf.constant(train.items, tf.int32)

    def counts(self, users: tf.Tensor) -> tf.Tensor:
        """[batch] float32: how many items each of some users has."""
        return tf.cast(tf.gather(self._offsets, users + 1) - tf.gather(self._offsets, users), tf.float32)

    def of(self, users: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """All observed pairs of some users.

        Args:
          users: [batch] int32.

        Returns:
          [n] int32 positions in `users`, ascending; [n] int32 items.
        """
        rows = tf.raw_ops.RaggedGather(
            params_nested_splits=[self._offsets],
            params_dense_values=self._items,
            indices=users,
            OUTPUT_RAGGED_RANK=1,
        )
        (ends,), items = rows.output_nested_splits, rows.output_dense_values
        # Several times as fast as `tf.repeat`, which makes a mask of users by the longest history.
        row_of = tf.searchsorted(ends[1:], tf.range(tf.size(items, tf.int64)), side="right")
        return row_of, items


def sum_by_row(table: tf.Tensor, row_of: tf.Tensor, items: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """For each row the sum of factors[n] * table[items[n]] over n with row_of[n] the row.

    Its gradient for the table is dense and builds no sparse rows, see `gdns_tf.models.inner_products`.

    Args:
      table: [num_items, d] float32 variable or tensor.
      row_of: [n] int32, ascending, without a gap: every row has an item.
      items: [n] int32.
      factors: [n] float32; no gradient flows into them.

    Returns:
      [num_rows, d] float32.
    """

    @tf.custom_gradient
    def forward(values: tf.Tensor) -> tuple:
        rows = factors[:, None] * tf.gather(values, items)

        def backward(upstream: tf.Tensor) -> tf.Tensor:
            return sum_pairs_by_item(items, row_of, factors, upstream, values.shape[0])

        return tf.ensure_shape(tf.math.segment_sum(rows, row_of), [None, values.shape[1]]), backward

    return forward(tf.convert_to_tensor(table))


def pair_scores(queries: tf.Tensor, table: tf.Tensor, row_of: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
    """Inner products of listed pairs; their gradient builds no sparse rows, see `gdns_tf.models.inner_products`.

    Args:
      queries: [batch, d] float32.
      table: [num_items, d] float32 variable or tensor.
      row_of: [n] int32 rows of `queries`, ascending, without a gap.
      items: [n] int32.

    Returns:
      [n] float32.
    """

    @tf.custom_gradient
    def forward(queries: tf.Tensor, values: tf.Tensor) -> tuple:
        factors = tf.gather(values, items)

        def backward(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_queries = tf.math.segment_sum(upstream[:, None] * factors, row_of)
            return of_queries, sum_pairs_by_item(items, row_of, upstream, queries, values.shape[0])

        return tf.reduce_sum(tf.gather(queries, row_of) * factors, axis=1), backward

    return forward(queries, tf.convert_to_tensor(table))
