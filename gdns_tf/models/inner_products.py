"""Inner products of queries with listed rows of a table, with a gradient that builds no row for every listed item."""

import tensorflow as tf


def inner_products(queries: tf.Tensor, table: tf.Variable, items: tf.Tensor) -> tf.Tensor:
    """Inner products of each query with the listed rows of a table; the gradient for the table is dense.

    The plain gradient is a [batch * n, dim] array of outer products that are then summed by item, the most costly part
    of a training step. Here they are summed without being built.

    Args:
      queries: [batch, dim] float32.
      table: [num_items, dim] float32 variable.
      items: [batch, n] int32 row numbers.

    Returns:
      [batch, n] float32.
    """
    num_items = table.shape[0]

    @tf.custom_gradient
    def forward(queries: tf.Tensor, values: tf.Tensor) -> tuple:
        rows = tf.gather(values, items)

        def backward(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_queries = tf.matmul(upstream[:, None, :], rows)[:, 0]
            return of_queries, sum_by_item(items, upstream, queries, num_items)

        return tf.matmul(queries[:, None, :], rows, transpose_b=True)[:, 0], backward

    return forward(queries, tf.convert_to_tensor(table))


def sum_by_item(items: tf.Tensor, factors: tf.Tensor, rows: tf.Tensor, num_items: int) -> tf.Tensor:
    """For each item the sum of factors[b, k] * rows[b] over the places (b, k) where it is listed.

    A sparse-dense product: on a CPU faster than a segment sum, and unlike `tf.math.bincount` and the product of a
    `CSRSparseMatrix` it adds in a fixed order. It goes by blocks of columns, because TensorFlow's kernel is four times
    slower from 32 columns on, where it changes to Eigen expressions.

    Args:
      items: [batch, n] int32.
      factors: [batch, n] float32.
      rows: [batch, dim] float32.
      num_items: how many items there are.

    Returns:
      [num_items, dim] float32.
    """
    row_of = tf.broadcast_to(tf.range(tf.shape(items)[0])[:, None], tf.shape(items))
    items, row_of, factors = (tf.reshape(each, [-1]) for each in (items, row_of, factors))
    return sum_pairs_by_item(items, row_of, factors, rows, num_items)


def sum_pairs_by_item(
    items: tf.Tensor, row_of: tf.Tensor, factors: tf.Tensor, rows: tf.Tensor, num_items: int
) -> tf.Tensor:
    """`sum_by_item` of listed pairs: for each item the sum of factors[n] * rows[row_of[n]] over n with items[n] it.

    Args:
      items: [n] int32.
      row_of: [n] int32.
      factors: [n] float32.
      rows: [batch, dim] float32.
      num_items: how many items there are.

    Returns:
      [num_items, dim] float32.
    """
    # The [n, 2] places (item, row). As halves of 64-bit integers, the low half first, they take a third of the time
    # that `tf.stack` takes.
    high = tf.bitwise.left_shift(tf.cast(row_of, tf.int64), tf.constant(32, tf.int64))
    places = tf.bitcast(high + tf.cast(items, tf.int64), tf.int32)
    shape = tf.stack([tf.constant(num_items, tf.int64), tf.shape(rows, out_type=tf.int64)[0]])

    def product(block: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.SparseTensorDenseMatMul(a_indices=places, a_values=factors, a_shape=shape, b=block)

    return tf.concat([product(rows[:, first : first + 16]) for first in range(0, rows.shape[1], 16)], axis=1)
