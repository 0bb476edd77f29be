"""Writing some rows of a table that is a variable."""

import tensorflow as tf


def write_rows(table: tf.Variable, rows: tf.Tensor, values: tf.Tensor, compiled: bool) -> None:
    """Replaces rows of a table by the fastest way there is.

    Args:
      table: [num_rows, ...].
      rows: [...] integers; rows that are listed twice must have equal values.
      values: the shape of `rows` and then that of a row.
      compiled: whether under XLA.
    """
    if compiled:  # in place under XLA only; elsewhere it would copy the whole table
        table.assign(tf.tensor_scatter_nd_update(table, rows[..., None], values))
    else:
        table.scatter_update(tf.IndexedSlices(values, rows))
