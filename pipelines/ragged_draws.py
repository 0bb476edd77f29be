"""Draws of a user's items, observed or not, from the rows of a batch: what `pipelines.draws` does, without its tables.

The rows are the batch's own histories, so that nothing is held of other users. With the same rows and the same seed the
draws are those of `pipelines.draws`, to the bit.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pipelines.draws import item_at_of, item_masses, uniform_below
from pipelines.streamed import NOTHING_TO_DRAW, StreamedInteractions

RaggedDrawer = Callable[[tf.RaggedTensor, tf.Tensor], tf.Tensor]


def draw_positives(rows: tf.RaggedTensor, count: int, seed: tf.Tensor) -> tf.Tensor:
    """Draws [batch, count] int32 items of the rows, independently and uniformly.

    Args:
      rows: [batch, (n)] int32 items, at least one in each.
      count: how many to draw from each.
      seed: [2].
    """
    places = uniform_below(rows.row_lengths()[:, None], [rows.nrows(), count], seed)
    return tf.gather(rows.values, rows.row_starts()[:, None] + places)


def unobserved_drawer(train: StreamedInteractions, count: int, weights: np.ndarray | None = None) -> RaggedDrawer:
    """Draws [batch, count] items that rows have not, independently and in proportion to the weights.

    Any item is drawn; the draws that fall on an item of the row are replaced by an exact draw from the others: see
    `pipelines.draws.unobserved_drawer`.

    Args:
      train: whose catalogue it is.
      count: how many to draw for each row.
      weights: [num_items] numbers >= 0; items of weight 0 are never drawn. None: all alike.

    Returns:
      From rows [batch, (n)] int32, without repeats in a row, and a seed [2] to the items. Its graph fails with
      InvalidArgumentError where a row has every item that has a weight.

    Raises:
      ValueError: the weights are no such numbers.
    """
    num_items, masses = train.num_items, item_masses(train, weights)
    item_at, total = item_at_of(masses), int(masses.sum())
    before, masses = tf.constant(np.cumsum(masses) - masses, tf.int64), tf.constant(masses, tf.int64)

    def draw(rows: tf.RaggedTensor, seed: tf.Tensor) -> tf.Tensor:
        seeds = tf.random.experimental.stateless_split(seed, num=2)
        pairs = sorted_pairs(rows, num_items)
        items = item_at(uniform_below(total, [rows.nrows(), count], seeds[0]))
        places = tf.where(contains(pairs, items, num_items))
        again = exact(rows.row_splits, pairs, places[:, 0], seeds[1])
        return tf.tensor_scatter_nd_update(items, places, again)

    def exact(splits: tf.Tensor, pairs: tf.Tensor, rows: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """One item for each of rows [n] int64: see `pipelines.draws.exact_drawer`, whose lines of users are rows'."""
        row_of, observed = pairs // num_items, pairs % num_items
        cut_before = tf.concat([[tf.constant(0, tf.int64)], tf.cumsum(tf.gather(masses, observed))], axis=0)
        cuts = row_of * total + tf.gather(before, observed) - cut_before[:-1]
        of_rows = tf.gather(cut_before, splits)
        left = total - (of_rows[1:] - of_rows[:-1])
        with tf.control_dependencies([tf.debugging.assert_positive(left, message=NOTHING_TO_DRAW)]):
            points = (
                rows * total - tf.gather(of_rows, rows) + uniform_below(tf.gather(left, rows), tf.shape(rows), seed)
            )
        cut = tf.gather(cut_before, tf.searchsorted(cuts, points, side="right"))
        return item_at(points + cut - rows * total)

    return draw


def sorted_pairs(rows: tf.RaggedTensor, num_items: int) -> tf.Tensor:
    """[n] int64, ascending: row * num_items + item, of all items of rows [batch, (n)] int32."""
    return tf.sort(rows.value_rowids() * num_items + tf.cast(rows.values, tf.int64))


def contains(pairs: tf.Tensor, items: tf.Tensor, num_items: int) -> tf.Tensor:
    """Which items [batch, m] int32 the rows have: [batch, m] bool.

    Args:
      pairs: from `sorted_pairs`, of the same rows.
      items: what is looked for in each row.
      num_items: size of the catalogue.
    """
    rows = tf.range(tf.shape(items, tf.int64)[0])[:, None]
    sought = tf.reshape(rows * num_items + tf.cast(items, tf.int64), [-1])
    place = tf.searchsorted(pairs, sought)
    found = tf.gather(pairs, tf.minimum(place, tf.size(pairs) - 1))
    return tf.reshape(found == sought, tf.shape(items))
