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
        if config.is_bounded(train.num_items) and config.gain_ways > 1:
            slots, options = config.slots(train.num_items), options | {"ways": config.gain_ways}
            return SetAssociativeGainTable(train.num_users, slots, **options)
        if config.is_bounded(train.num_items) and config.gain_slots:
            return BoundedGainTable(train.num_users, config.slots(train.num_items), **options)
        return DenseGainTable(train.num_users, train.num_items, **options)

    @abstractmethod
    def read(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """H and G of pairs.

        Args:
          users: [batch] int32.
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


_NOTHING, _WRITTEN = -3e38, 3e38
"""The worth of an empty slot, and of one that is written in this step, beside the indicators of all others."""


class SetAssociativeGainTable(GainTable):
    """A fixed number of slots a user, in sets of a few: an item may have any slot of its set.

    Newcomers to a full set take the places of those with the lowest indicator that are not written in the same step; of
    more newcomers than places those with the highest indicators stay, of equals those with the lowest numbers.
    """

    def __init__(
        self,
        num_users: int,
        num_slots: int,
        *,
        ways: int = 4,
        indicator: int = 1,
        cells: str = "float32",
        compiled: bool = False,
    ) -> None:
        """Args:
        num_users, num_slots: the size of the table.
        ways: slots of a set.
        indicator: by what those go that have to: 0, H, or 1, G.
        cells: the type of the numbers that it keeps.
        compiled: whether `write` is called under XLA.
        """
        super().__init__(name="gain_table")
        self._ways = min(ways, num_slots)
        self._num_sets = -(-num_slots // self._ways)
        self._indicator, self._compiled = indicator, compiled
        self._cell_dtype = tf.as_dtype(cells)
        self._words = 1 + self._cell_dtype.size // 2
        self._empty = self._packed(tf.constant([[_EMPTY]]), tf.ones([1, 1, 2]))[0, 0]
        self._nowhere = num_users * self._num_sets  # a set that is nobody's
        empty = tf.tile(self._empty[None], [self._nowhere + 1, self._ways])
        self.sets = tf.Variable(empty, trainable=False, name="sets")

    def _packed(self, items: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        cells = tf.bitcast(tf.cast(values, self._cell_dtype), tf.int32)
        return tf.concat([items[..., None], cells if self._words == 3 else cells[..., None]], axis=2)

    def _unpacked(self, cells: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.bitcast(cells if self._words == 3 else cells[..., 0], self._cell_dtype), tf.float32)

    def _set(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return tf.cast(users, tf.int64)[:, None] * self._num_sets + tf.cast(items % self._num_sets, tf.int64)

    def _slots(self, sets: tf.Tensor) -> tf.Tensor:
        """[batch, n, ways, words]: the slots of sets [batch, n]."""
        rows = tf.gather(self.sets, sets)
        return tf.reshape(rows, [*tf.unstack(tf.shape(sets)), self._ways, self._words])

    def read(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        slots = self._slots(self._set(users, items))
        held = slots[..., 0] == items[..., None]
        cells = tf.reduce_sum(tf.where(held[..., None], slots[..., 1:], 0), axis=2)  # of the one slot that has it
        return tf.where(tf.reduce_any(held, axis=2)[..., None], self._unpacked(cells), 1.0)

    def write(self, users: tf.Tensor, items: tf.Tensor, values: tf.Tensor) -> None:
        # By sets, and in them the highest indicator first; what is there twice comes last, to nowhere.
        order = tf.argsort(items, axis=1, stable=True)
        items, values = (tf.gather(x, order, batch_dims=1) for x in (items, values))
        repeated = tf.pad(items[:, 1:] == items[:, :-1], [[0, 0], [1, 0]])
        sets = tf.where(repeated, tf.constant(self._nowhere, tf.int64), self._set(users, items))
        lowest = tf.cast(2**31 - 1 - tf.bitcast(values[..., self._indicator], tf.int32), tf.int64)
        order = tf.argsort(sets * 2**31 + lowest, axis=1, stable=True)
        items, values, sets = (tf.gather(x, order, batch_dims=1) for x in (items, values, sets))
        first = tf.pad(sets[:, 1:] != sets[:, :-1], [[0, 0], [1, 0]], constant_values=True) & (sets != self._nowhere)

        # What the first of each set writes: its new slots, and of the old ones those that are worth most.
        written, shape = self._packed(items, values), tf.shape(sets)
        new, is_there = [], []
        for later in range(self._ways):
            there = tf.pad(sets[:, later:], [[0, 0], [0, later]], constant_values=_EMPTY) == sets
            is_there.append(there)
            new.append(
                tf.where(there[..., None], tf.pad(written[:, later:], [[0, 0], [0, later], [0, 0]]), self._empty)
            )
        new, is_there = tf.stack(new, axis=2), tf.stack(is_there, axis=2)
        old = self._slots(sets)
        gone = tf.reduce_any(old[..., :1] == new[:, :, None, :, 0], axis=3) | (old[..., 0] == _EMPTY)
        old = tf.where(gone[..., None], self._empty, old)
        worth = tf.where(gone, _NOTHING, self._unpacked(old[..., 1:])[..., self._indicator])
        worth = tf.concat([tf.where(is_there, _WRITTEN, _NOTHING), worth], axis=2)
        kept = tf.math.top_k(worth, self._ways).indices
        slots = tf.reshape(tf.gather(tf.concat([new, old], axis=2), kept, batch_dims=2), [*tf.unstack(shape), -1])
        slots = tf.where(first[..., None], slots, tf.tile(self._empty, [self._ways]))
        write_rows(self.sets, tf.where(first, sets, tf.constant(self._nowhere, tf.int64)), slots, self._compiled)

    def visited(self, users: tf.Tensor) -> tf.Tensor:
        slots = self._slots(
            tf.cast(users, tf.int64)[:, None] * self._num_sets + tf.range(self._num_sets, dtype=tf.int64)
        )
        return self._unpacked(tf.boolean_mask(slots, slots[..., 0] != _EMPTY)[:, 1:])


def _last_of_equals(keys: tf.Tensor) -> tf.Tensor:
    """[batch, n] int32: for each key [batch, n] the last position of its row at which it stands."""
    order = tf.argsort(keys, axis=1, stable=True)
    ordered = tf.gather(keys, order, batch_dims=1)
    return tf.gather(order, tf.searchsorted(ordered, keys, side="right") - 1, batch_dims=1)
