"""Work in blocks of rows and of columns, so that the memory of a request does not grow with its rows."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from gdns_tf.serving.top_k import top_k

FLOATS = 2**24
"""Numbers that a block may hold at once (64 MiB of float32)."""
_ROWS = 64
"""Rows from which a product with a long table is fast: each block of rows reads all of it."""
_COLUMNS = FLOATS // _ROWS
_LOWEST = float("-inf")


def rows_at_once(num_columns: int, *others: tf.Tensor) -> tf.Tensor:
    """How many rows a block may have, [] int32.

    Args:
      num_columns: scores of a row.
      others: [] int32 sizes of whatever else a row needs.
    """
    rows = tf.constant(FLOATS // max(min(num_columns, _COLUMNS), 1))
    for floats in others:
        rows = tf.minimum(rows, FLOATS // tf.maximum(floats, 1))
    return tf.maximum(rows, 1)


def in_row_blocks(
    of_rows: Callable[[tf.Tensor, tf.Tensor], Sequence[tf.Tensor]],
    batch: tf.Tensor,
    rows: tf.Tensor,
    specs: Sequence[tf.TensorSpec],
) -> Sequence[tf.Tensor]:
    """What a function finds for each block of rows, put together.

    Args:
      of_rows: from the first row and the one after the last to tensors with those rows; their other sizes must be the
        same in all blocks.
      batch: [] int32, how many rows there are.
      rows: [] int32, how many a block may have.
      specs: of the tensors, with the sizes that are known.
    """

    number = tf.maximum(-(-batch // rows), 1)

    def at(block: tf.Tensor) -> tf.Tensor:
        """Blocks are of equal size, for a product with a single row may be rounded otherwise than one with more."""
        return tf.cast(tf.cast(block, tf.int64) * tf.cast(batch, tf.int64) // tf.cast(number, tf.int64), tf.int32)

    def step(block: tf.Tensor, *found: tf.TensorArray) -> tuple:
        parts = of_rows(at(block), at(block + 1))
        return block + 1, *(array.write(block, part) for array, part in zip(found, parts, strict=True))

    arrays = [tf.TensorArray(spec.dtype, size=number, infer_shape=False, element_shape=spec.shape) for spec in specs]
    _, *found = tf.while_loop(lambda block, *_: block < number, step, [0, *arrays], parallel_iterations=1)
    return [tf.ensure_shape(array.concat(), spec.shape) for array, spec in zip(found, specs, strict=True)]


def best_columns(
    scores_of: Callable[[int | tf.Tensor, int | tf.Tensor], tf.Tensor],
    rows: tf.Tensor,
    num_columns: int | tf.Tensor,
    k: int | tf.Tensor,
    never: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The k best columns of each row, as by `top_k`, of scores that are made for a block of columns at a time.

    Args:
      scores_of: from the first column and the one after the last to scores [rows, end - first] float32.
      rows: [] int32.
      num_columns: how many there are; a number, or a tensor [] int32.
      k: how many, at most `num_columns`, or else the last ones are -inf.
      never: [m, 2] int64 places (row, column), whose scores count as -inf.

    Returns:
      Values [rows, k] float32 and columns [rows, k] int32, which have no meaning where the value is -inf.
    """
    if isinstance(num_columns, int) and num_columns <= _COLUMNS:
        return top_k(scores_of(0, num_columns), k, never)
    width = FLOATS // tf.maximum(rows, 1)

    def step(first: tf.Tensor, values: tf.Tensor, columns: tf.Tensor) -> tuple[tf.Tensor, ...]:
        end = tf.minimum(first + width, num_columns)
        at = tf.cast(first, tf.int64)
        here = tf.boolean_mask(never, (never[:, 1] >= at) & (never[:, 1] < tf.cast(end, tf.int64)))
        more, found = top_k(scores_of(first, end), tf.convert_to_tensor(k), here - [0, at])
        # What was found so far stands first: it is further to the left.
        values, order = tf.math.top_k(tf.concat([values, more], axis=1), k)
        return end, values, tf.gather(tf.concat([columns, found + first], axis=1), order, batch_dims=1)

    none = tf.fill([rows, k], _LOWEST), tf.fill([rows, k], -1)
    shapes = [tf.TensorShape([])] + [tf.TensorShape([None, k if isinstance(k, int) else None])] * 2
    loop = tf.while_loop(
        lambda first, *_: first < num_columns, step, [0, *none], shape_invariants=shapes, parallel_iterations=1
    )
    return loop[1], loop[2]
