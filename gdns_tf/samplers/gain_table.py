"""The gain table: H (Eq. 4) and G (Eq. 5) of every user-item pair that training has chosen as a negative."""

from abc import ABC, abstractmethod

import tensorflow as tf

from gdns_tf.models.setup import Setup
from gdns_tf.samplers.scatter import write_rows
from pipelines.errors import InputError

MAX_DENSE_BYTES = 12 * 2**30
CELL_BYTES = 8
"""What a pair takes in a `DenseGainTable`: H and G."""
SLOT_BYTES = 16
"""What a slot of `BoundedGainTable` takes: the item's number and the pair of H and G, 8 bytes each."""


def gain(g: tf.Tensor, h_before: tf.Tensor, h: tf.Tensor, smoothing: float, epsilon: float) -> tf.Tensor:
    """Eq. 5: alpha G + (1 - alpha) sigmoid((H before - H) / (H + epsilon)); all of one shape."""
    return smoothing * g + (1 - smoothing) * tf.sigmoid((h_before - h) / (h + epsilon))


class GainTable(tf.Module, ABC):
    """H and G of user-item pairs, 1 until a pair is first written (Algorithm 1, line 2).

    A `tf.Module` and not a Keras layer, so that neither `save_weights` nor a SavedModel carries it.
    """

    @staticmethod
    def build(num_slots: int, setup: Setup) -> "GainTable":
        """The table for a run.

        Args:
          num_slots: items a user that it keeps; 0, or as many as there are items: all.
          setup: the data.

        Raises:
          InputError: a table of all pairs would be too large.
        """
        train = setup.train
        if GainTable.is_bounded(num_slots, setup):
            return BoundedGainTable(setup.own.size, num_slots, setup.compiled)
        return DenseGainTable(setup.own.size, train.num_items, setup.compiled)

    @staticmethod
    def is_bounded(num_slots: int, setup: Setup) -> bool:
        """Whether the table of a run keeps fewer items a user than there are."""
        return 0 < num_slots < setup.train.num_items

    @staticmethod
    def bytes_of(num_slots: int, setup: Setup) -> int:
        """The size of the table of a run."""
        cells = SLOT_BYTES * num_slots if GainTable.is_bounded(num_slots, setup) else CELL_BYTES * setup.train.num_items
        return setup.own.size * cells

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
        """Replaces H and G of pairs; `values` is [batch, n, 2]. Equal pairs must have equal values."""

    @abstractmethod
    def visited(self, users: tf.Tensor) -> tf.Tensor:
        """H and G of the pairs of some users that have been written: [number of pairs, 2] float32."""


class DenseGainTable(GainTable):
    """A cell for every pair: exact, 8 bytes a pair.

    H and G of a pair lie side by side in one variable, because a step is bound by the number of places in memory
    that it touches: one place brings both.
    """

    def __init__(self, num_users: int, num_items: int, compiled: bool = False) -> None:
        """Args:
          num_users, num_items: the size of the table.
          compiled: whether `write` is called under XLA.

        Raises:
          InputError: the table would take more than 12 GiB.
        """
        super().__init__(name="gain_table")
        if (size := CELL_BYTES * num_users * num_items) > MAX_DENSE_BYTES:
            raise InputError(
                f"a gain table of {num_users:,} users x {num_items:,} items takes {size / 2**30:.1f} GiB",
                remedy="Bound it with `gain_slots`=512, which keeps that many items a user "
                f"({num_users * 512 * SLOT_BYTES / 2**30:.1f} GiB).",
            )
        self._num_items = num_items
        self._compiled = compiled
        self.cells = tf.Variable(tf.ones([num_users * num_items, 2]), trainable=False, name="h_and_g")

    def _cell(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return tf.cast(users, tf.int64)[:, None] * self._num_items + tf.cast(items, tf.int64)

    def read(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.cells, self._cell(users, items))

    def write(self, users: tf.Tensor, items: tf.Tensor, values: tf.Tensor) -> None:
        write_rows(self.cells, self._cell(users, items), values, self._compiled)

    def visited(self, users: tf.Tensor) -> tf.Tensor:
        cells = self.read(users, tf.range(self._num_items)[None, :])
        return tf.boolean_mask(cells, tf.reduce_any(cells != 1.0, axis=2))


class BoundedGainTable(GainTable):
    """A fixed number of slots a user: 16 bytes a slot, whatever the size of the catalogue.

    Direct-mapped: an item has one slot of its user's, which it shares with the items of the same hash. A newcomer takes
    the slot over and the former holder counts as never visited again. With as many slots as items it is exact.

    Items may be int32 or int64, 0 or above.
    """

    def __init__(self, num_users: int, num_slots: int, compiled: bool = False) -> None:
        """Args:
        num_users, num_slots: the size of the table.
        compiled: whether `write` is called under XLA.
        """
        super().__init__(name="gain_table")
        self._num_slots = num_slots
        self._compiled = compiled
        # Column 0 is the holder's number, column 1 the bits of its H and G: one write moves all three. Integers carry
        # the bits of floats unharmed; floats would not carry those of every number, as some of them are NaNs.
        empty, ones = tf.constant([-1], tf.int64), tf.bitcast(tf.ones([1, 2]), tf.int64)
        slot = tf.stack([empty, ones], axis=1)
        self.cells = tf.Variable(tf.repeat(slot, num_users * num_slots, axis=0), trainable=False, name="item_h_and_g")

    def cell(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """[batch, n] int64: where the pairs of `read` are kept; pairs of one cell drive each other out."""
        # Neighbouring item numbers get different slots, and slots = items gives every item its own.
        return tf.cast(users, tf.int64)[:, None] * self._num_slots + tf.cast(items % self._num_slots, tf.int64)

    def read(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        slots = tf.gather(self.cells, self.cell(users, items))
        held = slots[:, :, 0] == tf.cast(items, tf.int64)
        return tf.where(held[:, :, None], tf.bitcast(slots[:, :, 1], tf.float32), 1.0)

    def write(self, users: tf.Tensor, items: tf.Tensor, values: tf.Tensor) -> None:
        slots = tf.stack([tf.cast(items, tf.int64), tf.bitcast(values, tf.int64)], axis=2)
        write_rows(self.cells, self.cell(users, items), slots, self._compiled)

    def visited(self, users: tf.Tensor) -> tf.Tensor:
        slots = tf.gather(self.cells, self.cell(users, tf.range(self._num_slots)[None, :]))
        return tf.bitcast(tf.boolean_mask(slots, slots[:, :, 0] >= 0)[:, 1], tf.float32)
