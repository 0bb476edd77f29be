"""Inner products of queries with listed rows of a table, with a gradient that builds no row for every listed item."""

import tensorflow as tf


def inner_products(queries: tf.Tensor, table: tf.Variable, items: tf.Tensor) -> tf.Tensor:
    """Inner products of each query with the listed rows of a table; the gradient for the table is dense.

    The plain gradient is a [batch * n, dim] array of outer products that are then summed by item, the most costly part
    of a training step. A sparse-dense product sums them without building them.

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
            size = tf.shape(items, out_type=tf.int64)
            query_of = tf.repeat(tf.range(size[0]), size[1])
            item_of = tf.cast(tf.reshape(items, [-1]), tf.int64)
            by_item = tf.SparseTensor(
                tf.stack([item_of, query_of], axis=1), tf.reshape(upstream, [-1]), [num_items, size[0]]
            )
            return tf.linalg.matvec(rows, upstream, transpose_a=True), tf.sparse.sparse_dense_matmul(by_item, queries)

        return tf.linalg.matvec(rows, queries), backward

    return forward(queries, tf.convert_to_tensor(table))
