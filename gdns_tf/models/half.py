"""Inner products of factors in half precision, summed in float32."""

import tensorflow as tf


def inner_products_of_half(queries: tf.Tensor, table: tf.Variable, items: tf.Tensor) -> tf.Tensor:
    """Inner products of each query with the listed rows of a table, both rounded to the queries' type.

    What is multiplied has the few digits of that type; products and sums are float32, as a GPU's matrix units have
    them. In the gradient the rows' shares are rounded too, before they are summed by item in float32.

    Args:
      queries: [batch, dim] bfloat16.
      table: [num_items, dim] float32 variable.
      items: [batch, n] int32 row numbers.

    Returns:
      [batch, n] float32.
    """
    rows = tf.cast(tf.gather(table, items), queries.dtype)
    return tf.reduce_sum(tf.cast(rows, tf.float32) * tf.cast(queries, tf.float32)[:, None, :], axis=2)
