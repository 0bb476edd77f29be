"""The graph that is served: a `tf.Module` of plain TensorFlow operations, one method a signature.

Retrieval is a matrix product and an exact top-k. TensorFlow Recommenders' `BruteForce` does the same, but it excludes
items after the fact: it takes the best k + E by score and drops the E excluded from them, so that every request pays
for the user with the longest history, and k is wrong where more is excluded than was foreseen. Here what must not be
shown gets -inf before the top-k decides, which puts equal scores in the order of the items. Rows go in blocks, so that
memory does not grow with them.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from gdns_tf.serving.blocks import best_columns, in_row_blocks, rows_at_once
from gdns_tf.serving.contract import ITEM_ID, PADDING_SCORE, SIGNATURES, USER_ID, Signature, Tensor
from gdns_tf.serving.eligible import FLOATS_A_PLACE, Excluded, distinct, only, places
from gdns_tf.serving.explain import shares_of_encoded, shares_of_fold_in
from gdns_tf.serving.request_checks import checked
from gdns_tf.serving.tables import Tables

_NEVER = -np.inf
_EXPLAINED = 128
"""Items of a list that are explained at once."""


class ServedModel(Tables):
    """The signatures of `contract.py`, on the factors of any scorer. Each is a method of its name."""

    def signatures(self) -> dict[str, tf.types.experimental.GenericFunction]:
        """The functions to save or to call, by name, with the types and shapes of their inputs."""
        id_types = {USER_ID: self._users.dtype.name, ITEM_ID: self._items.dtype.name}

        def spec(tensor: Tensor) -> tf.TensorSpec:
            return tf.TensorSpec([None] * tensor.rank, tensor.dtype_with(id_types), tensor.name)

        return {
            signature.name: tf.function(
                getattr(self, signature.name),
                input_signature=[spec(tensor) for tensor in signature.inputs],
                autograph=False,  # nothing here needs it, and it takes as long again
            )
            for signature in self.contract()
        }

    def contract(self) -> tuple[Signature, ...]:
        """The signatures that this model has."""
        return tuple(SIGNATURES.values())

    def serving_default(self, user_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """The k best items that each user has not seen."""
        (user_ids,) = self._checked(SIGNATURES["serving_default"], user_ids)
        users = self._users.numbers(user_ids)
        # A width that is known when the graph is built, so that the server's metadata tells it.
        return self._for_users(users, tf.constant([self._k]), users, width=self._k)

    def retrieve(
        self,
        user_ids: tf.Tensor,
        k: tf.Tensor,
        exclude_seen: tf.Tensor,
        exclude_ids: tf.Tensor,
        restrict_to: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """The best items, with a say in which are eligible."""
        user_ids, k, exclude_seen, exclude_ids, restrict_to = self._checked(
            SIGNATURES["retrieve"], user_ids, k, exclude_seen, exclude_ids, restrict_to
        )
        users = self._users.numbers(user_ids)
        allowed, given = self._items.numbers(restrict_to), restrict_to != self._items.padding
        arguments = {
            "users": users,
            "k": k,
            "seen_by": tf.where(exclude_seen, users, -1),
            "excluded": Excluded(self._items.numbers(exclude_ids), tf.shape(users)[0], self._num_items),
        }
        return tf.cond(
            (tf.shape(restrict_to)[0] == 1) & tf.reduce_any(given),
            lambda: self._for_users(**arguments, catalogue=distinct(allowed)),
            lambda: self._for_users(**arguments, allowed=allowed, given=given),
        )

    def rank(self, user_ids: tf.Tensor, item_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scores of listed items, in the order of the list."""
        user_ids, item_ids = self._checked(SIGNATURES["rank"], user_ids, item_ids)
        users, items = self._users.numbers(user_ids), self._items.numbers(item_ids)
        known_user, known_item = users >= 0, items >= 0

        def of_rows(first: tf.Tensor, end: tf.Tensor) -> list[tf.Tensor]:
            listed = tf.maximum(items[first:end], 0)
            # Einsum and not matvec: it refuses lists of another rank, which the loader does not.
            scores = tf.einsum("bcd,bd->bc", self._factors_of(listed), self._queries_of(users[first:end]))
            return [tf.where(known_user[first:end, None], scores, tf.gather(self._popularity, listed))]

        batch, width = tf.unstack(tf.shape(items))
        rows = rows_at_once(1, width * self._dim)
        (scores,) = in_row_blocks(of_rows, batch, rows, [tf.TensorSpec([None, None], tf.float32)])
        scores = tf.where(known_item, scores, PADDING_SCORE)
        return {"scores": scores, "known_item": known_item, "known_user": known_user}

    def similar_items(self, item_ids: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """The items with the highest cosine of their factors, as the dimensions weigh them."""
        item_ids, k = self._checked(SIGNATURES["similar_items"], item_ids, k)
        items = self._items.numbers(item_ids)
        known, table = items >= 0, self._item_rows()

        def of_rows(first: tf.Tensor, end: tf.Tensor) -> tuple:
            row = tf.maximum(items[first:end], 0)
            unit = self._factors_of(row) * self._dimension_weights * tf.gather(self._inverse_norms, row)[:, None]

            def cosines(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
                products = tf.matmul(unit * self._dimension_weights, table(left, right), transpose_b=True)
                return products * self._inverse_norms[left:right]

            return cosines, places(items[first:end, None])

        return self._best(of_rows, tf.shape(items)[0], k, shown=known) | {"known_item": known}

    def retrieve_by_history(self, history: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """The best items for a user who is known only by a list of items; those are left out."""
        history, k = self._checked(SIGNATURES["retrieve_by_history"], history, k)
        items = self._items.numbers(history)
        known, table = tf.reduce_any(items >= 0, axis=1), self._item_rows()

        def of_rows(first: tf.Tensor, end: tf.Tensor) -> tuple:
            queries = self._by_history(items[first:end])

            def scores(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
                products = tf.matmul(queries, table(left, right), transpose_b=True)
                return popular_where(~known[first:end], products, lambda: self._popularity[left:right])

            return scores, places(items[first:end])

        batch, width = tf.unstack(tf.shape(items))
        best = self._best(of_rows, batch, k, floats_a_row=2 * width * self._dim)
        num_unknown = tf.math.count_nonzero((items < 0) & (history != self._items.padding), axis=1, dtype=tf.int32)
        return best | {"known_user": known, "num_unknown": num_unknown}

    def explain(self, user_ids: tf.Tensor, item_ids: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """What speaks most for each listed item, of all that the user has."""
        user_ids, item_ids, k = self._checked(SIGNATURES["explain"], user_ids, item_ids, k)
        users, items = self._users.numbers(user_ids), self._items.numbers(item_ids)
        longest = tf.reduce_max(tf.concat([self._seen_by(users).row_lengths(), [0]], axis=0))
        k = tf.broadcast_to(k, tf.shape(users))
        width = tf.minimum(tf.reduce_max(tf.concat([k, [0]], axis=0)), tf.cast(longest, tf.int32))
        # Long lists go in pieces: each of their items meets each of the history's.
        batch, listed = tf.unstack(tf.shape(items))
        pieces = tf.maximum(-(-listed // _EXPLAINED), 1)
        piece = tf.minimum(listed, _EXPLAINED)
        items = tf.pad(items, [[0, 0], [0, pieces * piece - listed]], constant_values=-1)
        items = tf.reshape(items, [batch * pieces, piece])
        users, k = tf.repeat(users, pieces), tf.repeat(k, pieces)

        def of_rows(first: tf.Tensor, end: tf.Tensor) -> list[tf.Tensor]:
            history = self._seen_by(users[first:end]).to_tensor(-1, shape=tf.stack([-1, longest]))
            return self._explained(history, users[first:end], items[first:end], k[first:end], width)

        rows = rows_at_once(1, tf.cast(longest, tf.int32) * (4 * piece + 6 * self._dim))
        specs = [tf.TensorSpec([None, None, None], tf.int32), tf.TensorSpec([None, None, None], tf.float32)]
        found = in_row_blocks(of_rows, batch * pieces, rows, [*specs, tf.TensorSpec([None, None], tf.float32)])
        numbers, most = (tf.reshape(part, [batch, pieces * piece, width])[:, :listed] for part in found[:2])
        return {
            "because_ids": self._items.ids(numbers),
            "contributions": most,
            "of_history": tf.reshape(found[2], [batch, pieces * piece])[:, :listed],
            "known_user": self._users.numbers(user_ids) >= 0,
        }

    def _explained(
        self, history: tf.Tensor, users: tf.Tensor, items: tf.Tensor, k: tf.Tensor, width: tf.Tensor
    ) -> list[tf.Tensor]:
        """What speaks most for items [rows, m], of a history [rows, n]: its items and what each adds, [rows, m, width]
        with padding beyond k [rows], and what all of them add, [rows, m]."""
        factors = self._factors_of(tf.maximum(items, 0))
        if self._encodes:
            shares = shares_of_encoded(self._history_vectors, self._history_power, history, factors)
        else:
            shares = shares_of_fold_in(self._item_factors, self._penalty, history, factors)
        has, known = history >= 0, (users >= 0)[:, None] & (items >= 0)
        most, places_of_most = tf.math.top_k(tf.where(has[:, None], shares, _NEVER), tf.maximum(width, 0))
        shown = (most > _NEVER) & known[..., None] & (tf.range(tf.shape(most)[2]) < k[:, None, None])
        return [
            tf.where(shown, tf.gather(history, places_of_most, batch_dims=1), -1),
            tf.where(shown, most, PADDING_SCORE),
            tf.where(known, tf.reduce_sum(tf.where(has[:, None], shares, 0.0), axis=2), PADDING_SCORE),
        ]

    def cosines(self, item_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """How alike the listed items are, as in `similar_items`; 0 where one is unknown."""
        (item_ids,) = self._checked(SIGNATURES["cosines"], item_ids)
        numbers = self._items.numbers(item_ids)
        rows = self._factors_of(tf.maximum(numbers, 0)) * self._dimension_weights
        norms = tf.where(numbers >= 0, tf.gather(self._inverse_norms, tf.maximum(numbers, 0)), 0.0)
        unit = rows * norms[..., None]
        return {"cosines": tf.einsum("bcd,bed->bce", unit, unit)}

    def describe(self, parts: tf.Tensor) -> dict[str, tf.Tensor]:
        """What the model is, as JSON; or the named parts of it."""
        (parts,) = self._checked(SIGNATURES["describe"], parts)
        return {"json": self._description.lookup(parts)}

    def _checked(self, signature: Signature, *inputs: tf.Tensor) -> list[tf.Tensor]:
        """The inputs of a signature, which can be had only once it is known that they keep to the contract."""
        return checked(signature, inputs, self._k, self._num_items, self._limits)

    def _for_users(
        self,
        users: tf.Tensor,
        k: tf.Tensor,
        seen_by: tf.Tensor,
        excluded: Excluded | None = None,
        allowed: tf.Tensor | None = None,
        given: tf.Tensor | None = None,
        catalogue: tf.Tensor | None = None,
        width: int | None = None,
    ) -> dict[str, tf.Tensor]:
        """The best items for users [batch], by popularity where a user is -1; with `known_user`.

        Args:
          users, k: [batch] int32, and [batch] or [1].
          seen_by: [batch] users whose items are left out, -1 for none.
          excluded: what else is left out.
          allowed, given: [batch, R] the only items to choose from, in rows with any `given`.
          catalogue: [m] the only items to choose from, ascending.
          width: as of `_best`.
        """
        table = self._item_rows(catalogue)
        if catalogue is not None:
            column_of = tf.tensor_scatter_nd_update(
                tf.fill([self._num_items], -1), catalogue[:, None], tf.range(tf.size(catalogue))
            )

        def of_rows(first: tf.Tensor, end: tf.Tensor) -> tuple:
            queries, unknown = self._queries_of(users[first:end]), users[first:end] < 0
            never = self._seen_places(seen_by[first:end])
            if excluded is not None:
                never = tf.concat([never, excluded.places(first, end)], axis=0)
            if catalogue is not None:
                column = tf.cast(tf.gather(column_of, never[:, 1]), tf.int64)
                never = tf.boolean_mask(tf.stack([never[:, 0], column], axis=1), column >= 0)

            def scores(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
                found = tf.matmul(queries, table(left, right), transpose_b=True)
                items = slice(left, right) if catalogue is None else catalogue[left:right]
                found = popular_where(unknown, found, lambda: _of(self._popularity, items))
                if excluded is not None:
                    found = excluded.lower(found, lambda mask: _of(mask, items))
                if allowed is None:
                    return found
                return tf.cond(
                    tf.reduce_any(given),
                    lambda: only(found, left, allowed[first:end], given[first:end]),
                    lambda: found,
                )

            return scores, never

        lists = 0 if excluded is None else excluded.floats_a_row
        lists += 0 if allowed is None else FLOATS_A_PLACE * tf.shape(allowed)[1]
        best = self._best(of_rows, tf.shape(users)[0], k, floats_a_row=lists, catalogue=catalogue, width=width)
        return best | {"known_user": users >= 0}

    def _best(
        self,
        of_rows: Callable[[tf.Tensor, tf.Tensor], tuple],
        batch: tf.Tensor,
        k: tf.Tensor,
        *,
        shown: tf.Tensor | None = None,
        floats_a_row: int | tf.Tensor = 0,
        catalogue: tf.Tensor | None = None,
        width: int | None = None,
    ) -> dict[str, tf.Tensor]:
        """Raw ids and scores of the k best of each row, filled up with padding.

        Args:
          of_rows: from the first row and the one after the last to their scores and what of them counts as -inf, as of
            `best_columns`; -inf is never shown.
          batch: [] int32 rows.
          k: [batch] or [1] int32.
          shown: [batch] whether a row has any; None: all may.
          floats_a_row: what a row needs besides its scores.
          catalogue: [m] the items that are meant by the columns; None: all.
          width: columns of the result, if it is known before k is.
        """
        k = tf.clip_by_value(k, 0, self._num_items)
        known_width = width
        if width is None:
            width = tf.reduce_max(tf.concat([k, [0]], axis=0))
        num_columns = self._num_items if catalogue is None else tf.size(catalogue)

        def best(first: tf.Tensor, end: tf.Tensor) -> tuple:
            scores, never = of_rows(first, end)
            return best_columns(scores, end - first, num_columns, width, never)

        rows = rows_at_once(self._num_items, floats_a_row)
        shape = [None, known_width]
        specs = [tf.TensorSpec(shape, tf.float32), tf.TensorSpec(shape, tf.int32)]
        values, numbers = in_row_blocks(best, batch, rows, specs)
        if catalogue is not None:
            numbers = tf.gather(tf.concat([catalogue, [-1]], axis=0), tf.where(numbers < 0, num_columns, numbers))
        return self._filled(values, numbers, k if shown is None else tf.where(shown, k, 0))

    def _filled(self, values: tf.Tensor, numbers: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """Raw ids and scores [batch, width], padding where it is -inf and beyond the k [batch or 1] of a row."""
        is_shown = (values > _NEVER) & (tf.range(tf.shape(values)[1]) < k[:, None])
        return {
            "item_ids": self._items.ids(tf.where(is_shown, numbers, -1)),
            "scores": tf.where(is_shown, values, PADDING_SCORE),
        }


def _of(values: tf.Tensor, items: slice | tf.Tensor) -> tf.Tensor:
    """The values of items: of some that follow each other, or of listed ones."""
    return values[items] if isinstance(items, slice) else tf.gather(values, items)


def popular_where(unknown: tf.Tensor, scores: tf.Tensor, popularity: Callable[[], tf.Tensor]) -> tf.Tensor:
    """Puts the popularity of items, [columns] or [rows, columns], into some rows; costs nothing where there are none."""
    return tf.cond(tf.reduce_any(unknown), lambda: tf.where(unknown[:, None], popularity(), scores), lambda: scores)
