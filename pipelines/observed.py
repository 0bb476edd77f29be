"""Whether a user has an item: a test for use within a graph."""

import numpy as np
import tensorflow as tf

from pipelines.interactions import Interactions

MAX_BITMAP_BYTES = 2**30


class Observed:
    """The observed pairs: a bit for every user and item, or a sorted list of the pairs where that is too much."""

    def __init__(self, train: Interactions) -> None:
        """Args:
        train: the interactions that count as observed.
        """
        self._num_items = train.num_items
        self._words = -(-train.num_items // 32)
        self._bits = self._pairs = None
        if 4 * train.num_users * self._words <= MAX_BITMAP_BYTES:
            bits = np.zeros((train.num_users, self._words), np.uint32)
            bit = np.uint32(1) << (train.items % 32).astype(np.uint32)
            np.bitwise_or.at(bits, (train.users, train.items // 32), bit)
            self._bits = tf.constant(bits.reshape(-1).view(np.int32))
        else:
            self._pairs = tf.constant(np.sort(train.users.astype(np.int64) * train.num_items + train.items))

    def contains(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Which items are observed.

        Args:
          users: [batch] int32.
          items: [batch, n] int32.

        Returns:
          [batch, n] bool.
        """
        if self._bits is not None:
            # Shifts, because TensorFlow divides integers one by one.
            words = tf.gather(self._bits, users[:, None] * self._words + tf.bitwise.right_shift(items, 5))
            return tf.bitwise.bitwise_and(tf.bitwise.right_shift(words, tf.bitwise.bitwise_and(items, 31)), 1) > 0
        pairs = tf.cast(users, tf.int64)[:, None] * self._num_items + tf.cast(items, tf.int64)
        place = tf.searchsorted(self._pairs, tf.reshape(pairs, [-1]))
        found = tf.gather(self._pairs, tf.minimum(place, len(self._pairs) - 1))
        return tf.reshape(found, tf.shape(pairs)) == pairs
