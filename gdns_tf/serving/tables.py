"""What a served model holds, and how it is looked up in the graph.

Tables are variables and not constants, since a graph may not exceed 2 GB.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from gdns_tf.models.factors import Factors
from gdns_tf.serving.blocks import FLOATS
from gdns_tf.serving.fold_in import FoldIn, encode, fold_in, penalty
from gdns_tf.serving.limits import Limits
from gdns_tf.serving.vocabulary import Vocabulary
from pipelines.errors import InputError
from pipelines.interactions import Interactions

ITEM_DTYPES = ("float32", "float16")
"""Types in which item factors can be stored."""


class Tables(tf.Module):
    """The factors of any scorer, the ids, and what users have seen."""

    def __init__(
        self,
        factors: Factors,
        seen: Interactions,
        popularity: np.ndarray,
        *,
        k: int,
        item_dtype: str,
        fold_in_strengths: FoldIn,
        description: dict,
        assets: Path,
        limits: Limits | None = None,
    ) -> None:
        """Args:
        factors: the model.
        seen: what is not to be recommended to each user again, with the raw ids. Its `dropped` users are served by
          what they have, as by `retrieve_by_history`.
        popularity: [num_items] scores of the items for users that are not known.
        k: items that `serving_default` returns.
        item_dtype: one of ITEM_DTYPES, in which the item factors are stored; they are calculated with in float32.
        fold_in_strengths: of `retrieve_by_history`, where the model has no encoder of histories.
        description: what `describe` tells; its values must be representable in JSON.
        assets: an existing folder for the vocabularies. It must stay until the model is saved; one that is not
          saved needs it no more once it is made.
        limits: what a request may ask for; None: as much as memory allows.

        Raises:
          InputError: an id cannot be served, or a score could exceed the numbers of its type.
        """
        super().__init__(name="gdns")
        stored = stored_items(factors, item_dtype)
        items = stored.astype(np.float32)
        self._num_trained, self._any_dropped = seen.num_users, seen.dropped is not None
        seen = seen.with_dropped()
        self._users = Vocabulary(seen.user_ids, assets / "user_ids.txt")
        self._items = Vocabulary(seen.item_ids, assets / "item_ids.txt")
        self._queries = table(factors.queries, "queries")
        self._item_factors = table(stored, "item_factors")
        self._dimension_weights = table(factors.dimension_weights, "dimension_weights")
        self._inverse_norms = table(_inverse_norms(items * factors.dimension_weights), "inverse_norms")
        self._encodes = factors.encoder is not None
        if self._encodes:
            self._history_vectors = table(factors.encoder.vectors, "history_vectors")
            self._history_power = table(np.float32(factors.encoder.power), "history_power")
        else:
            self._penalty = table(penalty(items, fold_in_strengths), "fold_in_penalty")
        self._popularity = table(popularity.astype(np.float32), "popularity")
        self._seen_offsets = table(np.asarray(seen.offsets, np.int64), "seen_offsets")
        self._seen_items = table(np.asarray(seen.items, np.int32), "seen_items")
        self._num_items, self._dim, self._limits = factors.num_items, factors.dim, limits
        self._k = min(k, factors.num_items)
        parts = {"": description} | description
        texts = [json.dumps(value, allow_nan=False, ensure_ascii=False) for value in parts.values()]
        self._description = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(list(parts), texts, tf.string, tf.string), default_value="null"
        )

    def _factors_of(self, items: tf.Tensor) -> tf.Tensor:
        """[..., d] float32 of items of any shape."""
        return tf.cast(tf.gather(self._item_factors, items), tf.float32)

    def _item_rows(self, catalogue: tf.Tensor | None = None) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """From the first item and the one after the last to their factors [end - first, d] float32.

        Args:
          catalogue: [m] the items that are meant; None: all.
        """
        if catalogue is not None:
            return lambda first, end: self._factors_of(catalogue[first:end])
        if self._num_items * self._dim <= FLOATS:  # converted once for all blocks of rows
            items = tf.cast(self._item_factors, tf.float32)
            return lambda first, end: items[first:end]
        return lambda first, end: tf.cast(self._item_factors[first:end], tf.float32)

    def _queries_of(self, users: tf.Tensor) -> tf.Tensor:
        """[batch, d]: the queries of users [batch]; of whom nothing was learnt, by what they have; any for -1."""
        queries = tf.gather(self._queries, tf.clip_by_value(users, 0, self._num_trained - 1))
        if not self._any_dropped:
            return queries
        rows = tf.where(users >= self._num_trained)
        # Made when asked for and not kept, for there may be many such users, who as a rule have few items.
        histories = self._seen_by(tf.gather_nd(users, rows)).to_tensor(-1)
        return tf.tensor_scatter_nd_update(queries, rows, self._by_history(histories))

    def _by_history(self, history: tf.Tensor) -> tf.Tensor:
        """[batch, d]: the queries of users who are known by a history [batch, n] of item numbers; -1 is passed over."""
        if self._encodes:
            return encode(self._history_vectors, self._history_power, history)
        return fold_in(self._item_factors, self._penalty, history)

    def _seen_places(self, users: tf.Tensor) -> tf.Tensor:
        """[m, 2] int64 places (row, item) of what users [batch] have seen; nothing for user -1."""
        seen = self._seen_by(users)
        return tf.stack([seen.value_rowids(), tf.cast(seen.values, tf.int64)], axis=1)

    def _seen_by(self, users: tf.Tensor) -> tf.RaggedTensor:
        """[batch, (items)] int32: what users [batch] have seen; nothing for user -1."""
        first = tf.gather(self._seen_offsets, tf.maximum(users, 0))
        end = tf.where(users >= 0, tf.gather(self._seen_offsets, tf.maximum(users, 0) + 1), first)
        places = tf.ragged.range(first, end, row_splits_dtype=tf.int64)
        return places.with_values(tf.gather(self._seen_items, places.values))


def stored_items(factors: Factors, item_dtype: str) -> np.ndarray:
    """The item factors in the type in which they are stored.

    Raises:
      InputError: a score could exceed float32, or a factor `item_dtype`.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        largest = np.sqrt(np.square(factors.queries, dtype=np.float64).sum(1).max(initial=0))
        largest *= np.sqrt(np.square(factors.items, dtype=np.float64).sum(1).max(initial=0))
        stored = factors.items.astype(item_dtype)
    if not largest < np.finfo(np.float32).max / 2:
        raise InputError(
            f"scores may reach {largest:.2g}, beyond float32", remedy="Train again: the training diverged."
        )
    if not np.isfinite(stored).all():
        raise InputError(
            f"an item factor of {np.abs(factors.items).max():.3g} is beyond {item_dtype}",
            remedy="Export with `item_dtype`=float32.",
        )
    return stored


def table(values: np.ndarray, name: str) -> tf.Variable:
    """What is looked up, under its name in the model's files."""
    return tf.Variable(values, trainable=False, name=name)


def _inverse_norms(rows: np.ndarray) -> np.ndarray:
    """[n] float32: 1 / norm of each row, 0 where a row is zero (its cosine with anything is then 0)."""
    norms = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1))
    return np.divide(1, norms, out=np.zeros_like(norms), where=norms > 1e-30).astype(np.float32)
