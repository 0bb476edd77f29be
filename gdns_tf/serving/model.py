"""The graph that is served: a `tf.Module` of plain TensorFlow operations, one method a signature.

Retrieval is a matrix product and an exact top-k. TensorFlow Recommenders' `BruteForce` does the same, but it excludes
items after the fact: it takes the best k + E by score and drops the E excluded from them, so that every request pays
for the user with the longest history, and k is wrong where more is excluded than was foreseen. Here what must not be
shown gets -inf before the top-k decides, which puts equal scores in the order of the items.

Tables are variables and not constants, since a graph may not exceed 2 GB.
"""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from gdns_tf.models.factors import Factors
from gdns_tf.serving.contract import ITEM_ID, PADDING_SCORE, SIGNATURES, USER_ID, Tensor
from gdns_tf.serving.explain import shares_of_encoded, shares_of_fold_in
from gdns_tf.serving.fold_in import FoldIn, encode, fold_in, penalty
from gdns_tf.serving.top_k import top_k
from gdns_tf.serving.vocabulary import Vocabulary
from pipelines.errors import InputError
from pipelines.interactions import Interactions

ITEM_DTYPES = ("float32", "float16")
"""Types in which item factors can be stored."""
_NEVER = -np.inf


class ServedModel(tf.Module):
    """The signatures of `contract.py`, on the factors of any scorer. Each is a method of its name."""

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
        self._queries = _table(factors.queries, "queries")
        self._item_factors = _table(stored, "item_factors")
        self._dimension_weights = _table(factors.dimension_weights, "dimension_weights")
        self._inverse_norms = _table(_inverse_norms(items * factors.dimension_weights), "inverse_norms")
        self._encodes = factors.encoder is not None
        if self._encodes:
            self._history_vectors = _table(factors.encoder.vectors, "history_vectors")
            self._history_power = _table(np.float32(factors.encoder.power), "history_power")
        else:
            self._penalty = _table(penalty(items, fold_in_strengths), "fold_in_penalty")
        self._popularity = _table(popularity.astype(np.float32), "popularity")
        self._seen_offsets = _table(seen.offsets.astype(np.int64), "seen_offsets")
        self._seen_items = _table(seen.items.astype(np.int32), "seen_items")
        self._num_items = factors.num_items
        self._k = min(k, factors.num_items)
        parts = {"": description} | description
        texts = [json.dumps(value, allow_nan=False, ensure_ascii=False) for value in parts.values()]
        self._description = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(list(parts), texts, tf.string, tf.string), default_value="null"
        )

    def signatures(self) -> dict[str, tf.types.experimental.GenericFunction]:
        """The functions to save or to call, by name, with the types and shapes of their inputs."""
        id_types = {USER_ID: self._users.dtype.name, ITEM_ID: self._items.dtype.name}

        def spec(tensor: Tensor) -> tf.TensorSpec:
            return tf.TensorSpec([None] * tensor.rank, tensor.dtype_with(id_types), tensor.name)

        return {
            name: tf.function(getattr(self, name), input_signature=[spec(tensor) for tensor in signature.inputs])
            for name, signature in SIGNATURES.items()
        }

    def serving_default(self, user_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """The k best items that each user has not seen."""
        users = self._users.numbers(user_ids)
        scores = self._without_seen(self._scores(users), users)
        # A width that is known when the graph is built, so that the server's metadata tells it.
        return self._best(scores, tf.constant([self._k]), width=self._k) | {"known_user": users >= 0}

    def retrieve(
        self,
        user_ids: tf.Tensor,
        k: tf.Tensor,
        exclude_seen: tf.Tensor,
        exclude_ids: tf.Tensor,
        restrict_to: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """The best items, with a say in which are eligible."""
        users = self._users.numbers(user_ids)
        for name, rows in (
            ("k", k),
            ("exclude_seen", exclude_seen),
            ("exclude_ids", exclude_ids),
            ("restrict_to", restrict_to),
        ):
            _check_rows(name, rows, user_ids, "user_ids")
        scores = self._without_seen(self._scores(users), tf.where(exclude_seen, users, -1))
        scores = _without(scores, self._items.numbers(exclude_ids))
        scores = tf.cond(
            tf.size(restrict_to) > 0,
            lambda: _only(scores, self._items.numbers(restrict_to), restrict_to != self._items.padding),
            lambda: scores,
        )
        return self._best(scores, k) | {"known_user": users >= 0}

    def rank(self, user_ids: tf.Tensor, item_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scores of listed items, in the order of the list."""
        _check_rows("item_ids", item_ids, user_ids, "user_ids", or_one=False)
        users, items = self._users.numbers(user_ids), self._items.numbers(item_ids)
        known_user, known_item = users >= 0, items >= 0
        items = tf.maximum(items, 0)
        factors = tf.cast(tf.gather(self._item_factors, items), tf.float32)
        # Einsum and not matvec: it refuses lists of another rank, which the loader does not.
        scores = tf.einsum("bcd,bd->bc", factors, self._queries_of(users))
        scores = tf.where(known_user[:, None], scores, tf.gather(self._popularity, items))
        scores = tf.where(known_item, scores, PADDING_SCORE)
        return {"scores": scores, "known_item": known_item, "known_user": known_user}

    def similar_items(self, item_ids: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """The items with the highest cosine of their factors, as the dimensions weigh them."""
        _check_rows("k", k, item_ids, "item_ids")
        numbers = self._items.numbers(item_ids)
        known, row = numbers >= 0, tf.maximum(numbers, 0)
        factors = self._all_items()
        unit = tf.gather(factors, row) * self._dimension_weights * tf.gather(self._inverse_norms, row)[:, None]
        cosines = tf.matmul(unit * self._dimension_weights, factors, transpose_b=True) * self._inverse_norms
        cosines = tf.where(known[:, None], cosines, _NEVER)
        return self._best(_without(cosines, numbers[:, None]), k) | {"known_item": known}

    def retrieve_by_history(self, history: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """The best items for a user who is known only by a list of items; those are left out."""
        _check_rows("k", k, history, "history")
        numbers = self._items.numbers(history)
        known = tf.reduce_any(numbers >= 0, axis=1)
        scores = tf.matmul(self._by_history(numbers), self._all_items(), transpose_b=True)
        scores = _without(self._popular_where(~known, scores), numbers)
        num_unknown = tf.math.count_nonzero((numbers < 0) & (history != self._items.padding), axis=1, dtype=tf.int32)
        return self._best(scores, k) | {"known_user": known, "num_unknown": num_unknown}

    def explain(self, user_ids: tf.Tensor, item_ids: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """What speaks most for each listed item, of all that the user has."""
        _check_rows("item_ids", item_ids, user_ids, "user_ids", or_one=False)
        _check_rows("k", k, user_ids, "user_ids")
        users, items = self._users.numbers(user_ids), self._items.numbers(item_ids)
        history = self._seen_by(users).to_tensor(-1)
        factors = tf.cast(tf.gather(self._item_factors, tf.maximum(items, 0)), tf.float32)
        if self._encodes:
            shares = shares_of_encoded(self._history_vectors, self._history_power, history, factors)
        else:
            shares = shares_of_fold_in(self._all_items(), self._penalty, history, factors)
        has, known = history >= 0, (users >= 0)[:, None] & (items >= 0)
        width = tf.minimum(tf.reduce_max(tf.concat([k, [0]], axis=0)), tf.shape(history)[1])
        most, places = tf.math.top_k(tf.where(has[:, None], shares, _NEVER), tf.maximum(width, 0))
        shown = (most > _NEVER) & known[..., None] & (tf.range(tf.shape(most)[2]) < k[:, None, None])
        return {
            "because_ids": self._items.ids(tf.where(shown, tf.gather(history, places, batch_dims=1), -1)),
            "contributions": tf.where(shown, most, PADDING_SCORE),
            "of_history": tf.where(known, tf.reduce_sum(tf.where(has[:, None], shares, 0.0), axis=2), PADDING_SCORE),
            "known_user": users >= 0,
        }

    def cosines(self, item_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """How alike the listed items are, as in `similar_items`; 0 where one is unknown."""
        numbers = self._items.numbers(item_ids)
        rows = tf.cast(tf.gather(self._item_factors, tf.maximum(numbers, 0)), tf.float32) * self._dimension_weights
        norms = tf.where(numbers >= 0, tf.gather(self._inverse_norms, tf.maximum(numbers, 0)), 0.0)
        unit = rows * norms[..., None]
        return {"cosines": tf.einsum("bcd,bed->bce", unit, unit)}

    def describe(self, parts: tf.Tensor) -> dict[str, tf.Tensor]:
        """What the model is, as JSON; or the named parts of it."""
        return {"json": self._description.lookup(parts)}

    def _all_items(self) -> tf.Tensor:
        """[num_items, d] float32."""
        return tf.cast(self._item_factors, tf.float32)

    def _scores(self, users: tf.Tensor) -> tf.Tensor:
        """[batch, num_items]: scores of all items for users [batch], or popularity where a user is -1."""
        scores = tf.matmul(self._queries_of(users), self._all_items(), transpose_b=True)
        return self._popular_where(users < 0, scores)

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
        return fold_in(self._all_items(), self._penalty, history)

    def _popular_where(self, unknown: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """Puts the popularity of the items into some rows; costs next to nothing where there are none."""
        rows = tf.where(unknown)
        return tf.tensor_scatter_nd_update(scores, rows, tf.repeat(self._popularity[None], tf.shape(rows)[0], axis=0))

    def _without_seen(self, scores: tf.Tensor, users: tf.Tensor) -> tf.Tensor:
        """-inf where users [batch] have seen an item; nothing for user -1."""
        seen = self._seen_by(users)
        return _never(scores, tf.stack([seen.value_rowids(), tf.cast(seen.values, tf.int64)], axis=1))

    def _seen_by(self, users: tf.Tensor) -> tf.RaggedTensor:
        """[batch, (items)] int32: what users [batch] have seen; nothing for user -1."""
        first = tf.gather(self._seen_offsets, tf.maximum(users, 0))
        end = tf.where(users >= 0, tf.gather(self._seen_offsets, tf.maximum(users, 0) + 1), first)
        places = tf.ragged.range(first, end, row_splits_dtype=tf.int64)
        return places.with_values(tf.gather(self._seen_items, places.values))

    def _best(self, scores: tf.Tensor, k: tf.Tensor, width: int | None = None) -> dict[str, tf.Tensor]:
        """Raw ids and scores of the k best of each row, filled up with padding.

        Args:
          scores: [batch, num_items]; -inf is never shown.
          k: [batch] or [1] int32.
          width: columns of the result, if it is known before k is.
        """
        k = tf.clip_by_value(k, 0, self._num_items)
        if width is None:
            width = tf.reduce_max(tf.concat([k, [0]], axis=0))
        best, numbers = top_k(scores, width)
        shown = (best > _NEVER) & (tf.range(width) < k[:, None])
        return {
            "item_ids": self._items.ids(tf.where(shown, numbers, -1)),
            "scores": tf.where(shown, best, PADDING_SCORE),
        }


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


def _table(values: np.ndarray, name: str) -> tf.Variable:
    return tf.Variable(values, trainable=False, name=name)


def _inverse_norms(rows: np.ndarray) -> np.ndarray:
    """[n] float32: 1 / norm of each row, 0 where a row is zero (its cosine with anything is then 0)."""
    norms = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1))
    return np.divide(1, norms, out=np.zeros_like(norms), where=norms > 1e-30).astype(np.float32)


def _check_rows(name: str, rows: tf.Tensor, of: tf.Tensor, of_name: str, or_one: bool = True) -> None:
    """Fails with a message where an input has not as many rows as another."""
    found, batch = tf.shape(rows)[0], tf.shape(of)[0]
    fits = (found == batch) | (found == 1) if or_one else found == batch
    tf.debugging.Assert(
        fits, [f"{name} must have {'1 row or ' if or_one else ''}as many rows as {of_name}; rows:", found, batch]
    )


def _never(scores: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """-inf at `places` [n, 2] of (row, item)."""
    return tf.tensor_scatter_nd_update(scores, places, tf.fill([tf.shape(places)[0]], _NEVER))


def _places(scores: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
    """[n, 2] int64 places (row, item) of items [batch or 1, width] in scores [batch, num_items]; -1 is passed over."""
    items = tf.broadcast_to(items, [tf.shape(scores)[0], tf.shape(items)[1]])
    listed = tf.where(items >= 0)
    return tf.stack([listed[:, 0], tf.cast(tf.gather_nd(items, listed), tf.int64)], axis=1)


def _without(scores: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
    """-inf for the listed items [batch or 1, width]."""
    return _never(scores, _places(scores, items))


def _only(scores: tf.Tensor, items: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
    """-inf for all but the listed items [batch or 1, width], in rows with any `given` [batch or 1, width]."""
    places = _places(scores, items)
    kept = tf.tensor_scatter_nd_update(tf.fill(tf.shape(scores), _NEVER), places, tf.gather_nd(scores, places))
    return tf.where(tf.reduce_any(given, axis=1, keepdims=True), kept, scores)
