"""Lists of items that a request leaves out or chooses from, one for each row or one for all.

One list for all is never copied for each row: what it leaves out is a mask over the items, and what it chooses from are
the only columns that are scored.
"""

from collections.abc import Callable

import tensorflow as tf

FLOATS_A_PLACE = 8
"""What a place takes while it is looked up: two 64-bit integers, and as much again."""
_LOWEST = float("-inf")
_MASK_FROM = 256
"""Items of one list for all from which a mask over all items costs less than their places in each row."""


def places(items: tf.Tensor) -> tf.Tensor:
    """[m, 2] int64 places (row, item) of items [rows, width]; -1 is passed over."""
    listed = tf.where(items >= 0)
    return tf.stack([listed[:, 0], tf.cast(tf.gather_nd(items, listed), tf.int64)], axis=1)


def distinct(items: tf.Tensor) -> tf.Tensor:
    """[m] the items of a tensor of any shape, ascending and each once; -1 is passed over."""
    items = tf.sort(tf.unique(tf.reshape(items, [-1])).y)
    return tf.boolean_mask(items, items >= 0)


def only(scores: tf.Tensor, first: tf.Tensor, items: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
    """-inf for all but the listed items, in rows with any `given`.

    Args:
      scores: [rows, columns] of the items from `first` on.
      first: [] int32.
      items: [rows, width] int32; -1 is passed over.
      given: [rows, width] whether there is an id, be it of an item or not.
    """
    columns = items - first
    here = places(tf.where((columns >= 0) & (columns < tf.shape(scores)[1]), columns, -1))
    kept = tf.tensor_scatter_nd_update(tf.fill(tf.shape(scores), _LOWEST), here, tf.gather_nd(scores, here))
    return tf.where(tf.reduce_any(given, axis=1, keepdims=True), kept, scores)


class Excluded:
    """What is left out."""

    def __init__(self, items: tf.Tensor, batch: tf.Tensor, num_items: int, mask: bool = True) -> None:
        """Args:
        items: [batch or 1, width] int32; -1 is passed over.
        batch: [] int32.
        num_items: of the catalogue.
        mask: whether `lower` is going to be called.
        """
        width = tf.shape(items)[1]
        self._is_mask = mask & (tf.shape(items)[0] == 1) & (batch > 1) & (width >= _MASK_FROM)
        self.floats_a_row = tf.where(self._is_mask, 0, FLOATS_A_PLACE * width)
        # Either the lists or the mask is empty: sizes cost a small request less than branches.
        self._lists = items[:, : tf.where(self._is_mask, 0, width)]
        masked = distinct(items[:, : tf.where(self._is_mask, width, 0)])
        self._mask = _mask(masked, tf.where(self._is_mask, num_items, 0))

    def places(self, first: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        """[m, 2] int64 places (row, item) in the rows of a block, of what `lower` does not lower."""
        last = tf.shape(self._lists)[0] - 1  # of one list for all it is the first, too
        return places(tf.gather(self._lists, tf.minimum(tf.range(first, end), last)))

    def lower(self, scores: tf.Tensor, of: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """-inf for what is left out of all rows, if it is much.

        Args:
          scores: [rows, columns].
          of: from a mask over all items to that over the columns.
        """
        return tf.cond(self._is_mask, lambda: tf.where(of(self._mask), _LOWEST, scores), lambda: scores)


def _mask(items: tf.Tensor, num_items: tf.Tensor) -> tf.Tensor:
    """[num_items] whether an item is among items [m], each of which is there once."""
    return tf.tensor_scatter_nd_update(tf.fill([num_items], False), items[:, None], tf.fill(tf.shape(items), True))
