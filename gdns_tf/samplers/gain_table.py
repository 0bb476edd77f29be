"""The gain table: H (Eq. 4) and G (Eq. 5) of every user-item pair that training has chosen as a negative."""

from abc import ABC, abstractmethod

import tensorflow as tf

from gdns_tf.models.setup import Setup
from gdns_tf.samplers.gain_table_config import GainTableConfig
from gdns_tf.samplers.scatter import write_rows

_EMPTY = -1
"""The number of no item."""


def gain(g: tf.Tensor, h_before: tf.Tensor, h: tf.Tensor, smoothing: float, epsilon: float) -> tf.Tensor:
    """Eq. 5: alpha G + (1 - alpha) sigmoid((H before - H) / (H + epsilon)); all of one shape."""
    return smoothing * g + (1 - smoothing) * tf.sigmoid((h_before - h) / (h + epsilon))


class GainTable(tf.Module, ABC):
    """H and G of user-item pairs, 1 until a pair is first written (Algorithm 1, line 2).

    A `tf.Module` and not a Keras layer, so that neither `save_weights` nor a SavedModel carries it.
    """

    @staticmethod
    def build(config: GainTableConfig, setup: Setup) -> "GainTable":
        """The table for a run.

        Args:
          config: settled; what is still open makes a dense table.
          setup: the data.
        """
        train, options = setup.train, {"cells": config.gain_cells, "compiled": setup.compiled}
        if config.is_bounded(train.num_items) and config.gain_slots:
            return BoundedGainTable(setup.own.size, config.slots(train.num_items), **options)
        return DenseGainTable(setup.own.size, train.num_items, **options)

    @abstractmethod
    def read(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """H and G of pairs.

        Args:
          users: [batch] int32: rows of the table.
          items: [batch, n] int32.

        Returns:
          [batch, n, 2] float32: H, G.
        """

    @abstractmethod
    def write(self, users: tf.Tensor, items: tf.Tensor, values: tf.Tensor) -> None:
        """Replaces H and G of pairs; `values` is [batch, n, 2] float32. Equal pairs must have equal values."""

    @abstractmethod
    def visited(self, users: tf.Tensor) -> tf.Tensor:
        """H and G of the pairs of some users that have been written: [number of pairs, 2] float32."""


class DenseGainTable(GainTable):
    """A cell for every pair, which takes 8 bytes, or 4 in half precision: nothing is forgotten.

    H and G of a pair lie side by side in one variable, because a step is bound by the number of places in memory
    that it touches: one place brings both. In half precision they are rounded as they are written; the 1 of a pair that
    was never written stays exactly 1.
    """

    def __init__(self, num_users: int, num_items: int, *, cells: str = "float32", compiled: bool = False) -> None:
        """Args:
        num_users, num_items: the size of the table.
        cells: the type of its numbers.
        compiled: whether `write` is called under XLA.
        """
        super().__init__(name="gain_table")
        self._num_items = num_items
        self._compiled = compiled
        ones = tf.ones([num_users * num_items, 2], tf.as_dtype(cells))
        self.cells = tf.Variable(ones, trainable=False, name="h_and_g")

    def _cell(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return tf.cast(users, tf.int64)[:, None] * self._num_items + tf.cast(items, tf.int64)

    def read(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(self.cells, self._cell(users, items)), tf.float32)

    def write(self, users: tf.Tensor, items: tf.Tensor, values: tf.Tensor) -> None:
        write_rows(self.cells, self._cell(users, items), tf.cast(values, self.cells.dtype), self._compiled)

    def visited(self, users: tf.Tensor) -> tf.Tensor:
        cells = self.read(users, tf.range(self._num_items)[None, :])
        return tf.boolean_mask(cells, tf.reduce_any(cells != 1.0, axis=2))


class BoundedGainTable(GainTable):
    """A fixed number of slots a user, whatever the size of the catalogue: 12 bytes a slot, or 8 in half precision.

    Direct-mapped: an item has one slot of its user's, which it shares with the items of the same hash. A newcomer takes
    the slot over, of several in one step the last, and the former holder counts as never visited again. With as many
    slots as items it is exact.
    """

    def __init__(
        self,
        num_users: int,
        num_slots: int,
        *,
        cells: str = "float32",
        item_dtype: tf.DType = tf.int32,
        compiled: bool = False,
    ) -> None:
        """Args:
        num_users, num_slots: the size of the table.
        cells: the type of the numbers that it keeps.
        item_dtype: int32 or int64, of item numbers, which are 0 or above; with int64 a slot takes 4 bytes more.
        compiled: whether `write` is called under XLA.
        """
        super().__init__(name="gain_table")
        self._num_slots = num_slots
        self._cell_dtype, self._item_dtype = tf.as_dtype(cells), item_dtype
        self._item_words = item_dtype.size // 4
        self._compiled = compiled
        # A slot is the words of its holder's number and then those of its cell: one write moves them all. Integers
        # carry the bits of floats unharmed; floats would not carry those of every number, as some are NaNs.
        empty = self._packed(tf.constant([[_EMPTY]], item_dtype), tf.ones([1, 1, 2]))
        self.cells = tf.Variable(tf.repeat(empty[0], num_users * num_slots, axis=0), trainable=False, name="slots")

    def _packed(self, items: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """[batch, n, words] int32 slots of items [batch, n] and their H and G [batch, n, 2]."""
        return tf.concat([self._words(items), self._words(tf.cast(values, self._cell_dtype))], axis=2)

    @staticmethod
    def _words(x: tf.Tensor) -> tf.Tensor:
        """[batch, n, words] int32: the bits of numbers [batch, n], or of pairs of them [batch, n, 2]."""
        words = tf.bitcast(x, tf.int32)
        return words[..., None] if words.shape.rank == 2 else words

    def _unpacked(self, slots: tf.Tensor) -> tf.Tensor:
        """[..., 2] float32: H and G of slots [..., words]."""
        words = slots[..., self._item_words :]
        # A bitcast to a smaller type makes an axis of its parts, and one to a type of the same size none.
        values = tf.bitcast(words if self._cell_dtype.size == 4 else words[..., 0], self._cell_dtype)
        return tf.cast(values, tf.float32)

    def cell(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """[batch, n] int64: where the pairs of `read` are kept; pairs of one cell drive each other out."""
        # Neighbouring item numbers get different slots, and slots = items gives every item its own.
        return tf.cast(users, tf.int64)[:, None] * self._num_slots + tf.cast(items % self._num_slots, tf.int64)

    def read(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        slots = tf.gather(self.cells, self.cell(users, items))
        holders = slots[..., : self._item_words]
        held = tf.reduce_all(holders == self._words(tf.cast(items, self._item_dtype)), axis=2, keepdims=True)
        return tf.where(held, self._unpacked(slots), 1.0)

    def write(self, users: tf.Tensor, items: tf.Tensor, values: tf.Tensor) -> None:
        cells = self.cell(users, items)
        slots = self._packed(tf.cast(items, self._item_dtype), values)
        # Pairs of one cell all write what the last of them would: else it would depend on the device which one stays.
        slots = tf.gather(slots, _last_of_equals(cells), batch_dims=1)
        write_rows(self.cells, cells, slots, self._compiled)

    def visited(self, users: tf.Tensor) -> tf.Tensor:
        slots = tf.gather(self.cells, self.cell(users, tf.range(self._num_slots)[None, :]))
        return self._unpacked(tf.boolean_mask(slots, slots[..., 0] != _EMPTY))


def _last_of_equals(keys: tf.Tensor) -> tf.Tensor:
    """[batch, n] int32: for each key [batch, n] the last position of its row at which it stands."""
    order = tf.argsort(keys, axis=1, stable=True)
    ordered = tf.gather(keys, order, batch_dims=1)
    return tf.gather(order, tf.searchsorted(ordered, keys, side="right") - 1, batch_dims=1)
