"""A served model that can also look into a part of the catalogue only."""

import numpy as np
import tensorflow as tf

from gdns_tf.serving.blocks import FLOATS, in_row_blocks, rows_at_once
from gdns_tf.serving.contract import APPROXIMATE, Signature
from gdns_tf.serving.eligible import Excluded
from gdns_tf.serving.index import Cells
from gdns_tf.serving.model import ServedModel, popular_where
from gdns_tf.serving.tables import table
from gdns_tf.serving.top_k import top_k

_LOWEST = float("-inf")


class IndexedModel(ServedModel):
    """All signatures of `ServedModel`, and `retrieve_approximately`."""

    def __init__(self, cells: Cells, *arguments: object, **options: object) -> None:
        """Args:
        cells: of the model's items.
        arguments, options: as for `ServedModel`.
        """
        super().__init__(*arguments, **options)
        self._num_cells, self._capacity = cells.items.shape
        listed = cells.items >= 0
        numbers = np.where(listed, cells.items, 0)
        stored = self._item_factors.numpy()[numbers].reshape(self._num_cells, self._capacity * self._dim)
        slots = np.empty(self._num_items, np.int32)
        slots[cells.items[listed]] = np.flatnonzero(listed)
        self._cell_items = table(cells.items, "cell_items")
        self._cell_factors = table(stored, "cell_factors")
        self._centroids = table(cells.centroids, "cell_centroids")
        self._most_popular = table(
            np.where(listed, self._popularity.numpy()[numbers], -np.inf).max(axis=1), "cell_popularity"
        )
        self._slots = table(slots, "slots")

    def contract(self) -> tuple[Signature, ...]:
        return *super().contract(), APPROXIMATE

    def retrieve_approximately(
        self, user_ids: tf.Tensor, k: tf.Tensor, probes: tf.Tensor, exclude_seen: tf.Tensor, exclude_ids: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The best items of those cells whose centroids score highest."""
        user_ids, k, probes, exclude_seen, exclude_ids = self._checked(
            APPROXIMATE, user_ids, k, probes, exclude_seen, exclude_ids
        )
        users = self._users.numbers(user_ids)
        probes = tf.clip_by_value(tf.reduce_max(tf.concat([probes, [1]], axis=0)), 1, self._num_cells)
        of_cell = self._capacity * (2 * self._dim + 4)
        arguments = {
            "users": users,
            "k": k,
            "seen_by": tf.where(exclude_seen, users, -1),
            "excluded": Excluded(self._items.numbers(exclude_ids), tf.shape(users)[0], self._num_items, mask=False),
        }
        # So many that a single user's cells fill a block: to look at all items is then as fast, and takes less memory.
        return tf.cond(
            probes > FLOATS // of_cell,  # and no product, which 32 bits may not hold
            lambda: self._for_users(**arguments),
            lambda: self._in_cells(**arguments, probes=probes, floats=probes * of_cell),
        )

    def _in_cells(
        self,
        users: tf.Tensor,
        k: tf.Tensor,
        seen_by: tf.Tensor,
        excluded: Excluded,
        probes: tf.Tensor,
        floats: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """The best items for users [batch] within `probes` [] cells; the others as of `_for_users`.

        Args:
          floats: [] what a user's cells take.
        """
        k = tf.clip_by_value(k, 0, self._num_items)
        width = tf.reduce_max(tf.concat([k, [0]], axis=0))

        def of_rows(first: tf.Tensor, end: tf.Tensor) -> tuple:
            queries, unknown = self._queries_of(users[first:end]), users[first:end] < 0
            near = tf.matmul(queries, self._centroids, transpose_b=True)
            near = popular_where(unknown, near, lambda: self._most_popular)
            cells = tf.sort(top_k(near, probes)[1], axis=1)
            items = tf.reshape(tf.gather(self._cell_items, cells), [end - first, probes * self._capacity])
            factors = tf.cast(tf.gather(self._cell_factors, cells), tf.float32)
            factors = tf.reshape(factors, [end - first, probes * self._capacity, self._dim])
            scores = tf.einsum("bmd,bd->bm", factors, queries)
            scores = popular_where(unknown, scores, lambda: tf.gather(self._popularity, tf.maximum(items, 0)))
            scores = tf.where(items < 0, _LOWEST, scores)
            never = tf.concat([self._seen_places(seen_by[first:end]), excluded.places(first, end)], axis=0)
            values, columns = top_k(scores, width, self._columns(never, cells))
            found = tf.gather(items, columns, batch_dims=1)
            missing = [[0, 0], [0, width - tf.shape(values)[1]]]
            return _by_item(tf.pad(values, missing, constant_values=_LOWEST), tf.pad(found, missing))

        rows = rows_at_once(self._num_cells, floats, excluded.floats_a_row)
        specs = [tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([None, None], tf.int32)]
        values, items = in_row_blocks(of_rows, tf.shape(users)[0], rows, specs)
        return self._filled(values, items, k) | {"known_user": users >= 0}

    def _columns(self, places: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
        """From places (row, item) to [m, 2] (row, column) among the items of cells [rows, probes], which ascend."""
        rows, probes = tf.unstack(tf.shape(cells, tf.int64))
        slots = tf.cast(tf.gather(self._slots, places[:, 1]), tf.int64)
        chosen = tf.range(rows)[:, None] * self._num_cells + tf.cast(cells, tf.int64)
        chosen = tf.concat([tf.reshape(chosen, [-1]), [-1]], axis=0)  # the last is what is beyond all others
        wanted = places[:, 0] * self._num_cells + slots // self._capacity
        at = tf.searchsorted(chosen[:-1], wanted, out_type=tf.int64)
        column = (at - places[:, 0] * probes) * self._capacity + slots % self._capacity
        return tf.boolean_mask(tf.stack([places[:, 0], column], axis=1), tf.equal(tf.gather(chosen, at), wanted))


def _by_item(values: tf.Tensor, items: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Puts equal values [rows, k], which descend, in the order of their items [rows, k]."""
    order = tf.argsort(items, axis=1)
    values, items = tf.gather(values, order, batch_dims=1), tf.gather(items, order, batch_dims=1)
    values, order = tf.math.top_k(values, tf.shape(values)[1])
    return values, tf.gather(items, order, batch_dims=1)
