"""The signatures of an exported model as typed calls, wherever it runs. The contract is `gdns_tf/serving/README.md`."""

import functools
import json
import numbers
import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from gdns_tf.clients.backend import Backend
from gdns_tf.clients.errors import InvalidRequest, ServingError, printable
from gdns_tf.clients.mmr import CANDIDATES, most_marginal
from gdns_tf.clients.promised import as_promised
from gdns_tf.clients.raw_ids import id_array, is_list
from gdns_tf.clients.results import Ranking, Recommendations
from gdns_tf.clients.splitting import joined, parts_that_fit
from gdns_tf.serving.contract import APPROXIMATE, ITEM_ID, PADDING_IDS, PADDING_SCORE, SIGNATURES, USER_ID
from pipelines.errors import shown

_SIGNATURES = SIGNATURES | {APPROXIMATE.name: APPROXIMATE}

_INT32_MAX = 2**31 - 1


class Signatures:
    """Recommendations from a model, as arrays. Safe to use from several threads.

    Every method raises a `ServingError`: `InvalidRequest` for what the model cannot make sense of, and from servers
    `Unavailable`, `DeadlineExceeded` and `NotFound`.
    """

    def __init__(self, backend: Backend, titles: Mapping | None = None) -> None:
        """Args:
        backend: the model.
        titles: raw item id -> title.
        """
        self.backend = backend
        self._titles = titles or {}

    def with_titles(self, titles: Mapping) -> "Signatures":
        """The same model, with titles: raw item id -> title."""
        return Signatures(self.backend, titles)

    def close(self) -> None:
        """Gives back connections."""
        self.backend.close()

    def describe(self) -> dict:
        """What the model says about itself: version, id types, exported k, flags, data fingerprint, metrics."""
        (text,) = self._answer("describe", {"parts": np.array([""], object)}, {})["json"]
        try:
            about = json.loads(text)
        except (ValueError, RecursionError):
            about = None
        if not isinstance(about, dict):
            raise ServingError(f"signature 'describe' did not answer with a JSON object, but: {printable(text)}")
        return about

    @property
    def user_id_type(self) -> str:
        """Type of the user ids: "int64" or "string"."""
        return self._id_types[USER_ID]

    @property
    def item_id_type(self) -> str:
        """Type of the item ids: "int64" or "string"."""
        return self._id_types[ITEM_ID]

    def recommend(
        self,
        users: Sequence,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        exclude: Collection = (),
        restrict_to: Collection = (),
        why: int = 0,
        mmr: float = 0.0,
        probes: int = 0,
    ) -> Recommendations:
        """The best items for users; popular ones for users that the model does not know.

        Args:
          users: [n] raw ids.
          k: items for each; fewer come back where fewer are eligible.
          exclude_seen: leave out the items that the user is known to have.
          exclude: item ids to leave out, for all of the users.
          restrict_to: if not empty, the only item ids to choose from.
          why: for each item, how many items of the user's history to name that add most to its score.
          mmr: how much lists avoid items that are alike, from 0, not at all, to 1; see `gdns_tf.clients.mmr`. Scores
            then no longer descend.
          probes: of a model with an index (`gdns_tf.export --index=ivf`), how many cells of the catalogue to look into:
            more find more and take longer, 128 is what the card tells the recall of. 0: all items, exactly.
        """
        why, mmr = min(_whole(why, "why", 0), _INT32_MAX), _share(mmr, "mmr")
        options = {"exclude_seen": exclude_seen, "exclude": exclude, "restrict_to": restrict_to, "probes": probes}
        if mmr:
            answer = self._diverse(self._best(users, max(_count(k), CANDIDATES), **options), mmr, _count(k))
        else:
            answer = self._best(users, k, **options)
        return self._explained(answer, why) if why else answer

    def _diverse(self, answer: Recommendations, mmr: float, k: int) -> Recommendations:
        """The lists chosen among longer ones by maximal marginal relevance."""
        cosines = self._call("cosines", {"item_ids": self._lists(answer.items)})["cosines"][:, 1:, 1:]
        width = min(k, answer.items.shape[1])
        items = np.full((len(answer), width), answer.padding, answer.items.dtype)
        scores = np.full((len(answer), width), PADDING_SCORE, np.float32)
        for row, listed in enumerate(answer.items != answer.padding):
            places = np.flatnonzero(listed)
            alike = cosines[row][np.ix_(places, places)]
            chosen = places[most_marginal(answer.scores[row, places], alike, mmr, k)]
            items[row, : len(chosen)], scores[row, : len(chosen)] = (
                answer.items[row, chosen],
                answer.scores[row, chosen],
            )
        return replace(answer, items=items, scores=scores)

    def _explained(self, answer: Recommendations, why: int) -> Recommendations:
        """The lists with what speaks for each item."""
        inputs = {"user_ids": answer.queries, "item_ids": self._lists(answer.items)}
        told = self._call("explain", inputs | {"k": np.full(len(answer), why, np.int32)})
        width = slice(1, 1 + answer.items.shape[1])  # without the padding that `_lists` puts first
        return replace(
            answer, because=told["because_ids"][:, width, :why], contributions=told["contributions"][:, width, :why]
        )

    def _best(
        self, users: Sequence, k: int, *, exclude_seen: bool, exclude: Collection, restrict_to: Collection, probes: int
    ) -> Recommendations:
        """`recommend` by score alone."""
        k, ids, probes = _count(k), self._ids(users, "user"), _whole(probes, "probes", 0)
        exclude, restrict_to = self._ids(exclude, "item"), self._ids(restrict_to, "item")
        if probes and len(restrict_to):
            raise InvalidRequest("restrict_to is answered exactly: leave out probes")
        plain = exclude_seen and not len(exclude) and not len(restrict_to) and not probes
        if plain and k <= self._exported_k:
            answer = self._call("serving_default", {"user_ids": ids})
            if len(ids) == 0 or answer["item_ids"].shape[1] >= k:
                return self._recommendations(ids, answer, "known_user", k)
            # A version that was exported with a smaller k has taken over: it is asked for as many as are wanted.
        inputs = {
            "user_ids": ids,
            "k": np.full(len(ids), k, np.int32),
            "exclude_seen": np.full(len(ids), exclude_seen, bool),
            "exclude_ids": self._for_all(exclude, len(ids)),
        }
        if probes:
            inputs |= {"probes": np.full(len(ids), min(probes, _INT32_MAX), np.int32)}
            answer = self._call(APPROXIMATE.name, inputs)
        else:
            answer = self._call("retrieve", inputs | {"restrict_to": self._for_all(restrict_to, len(ids))})
        return self._recommendations(ids, answer, "known_user", k)

    def rank(self, users: Sequence, items: Sequence) -> Ranking:
        """Scores of given items.

        Args:
          users: [n] raw ids.
          items: [num_items] raw ids, the same for all users, or [n, num_items], a list of one length for each.
        """
        ids = self._ids(users, "user")
        nested = is_list(items) and len(items) and all(is_list(row) for row in items)
        rows = [self._ids(row, "item") for row in items] if nested else [self._ids(items, "item")] * len(ids)
        if len(rows) != len(ids) or len({len(row) for row in rows}) > 1:
            raise InvalidRequest(f"{len(ids)} users need a list of items each, of equal length, or one list for all")
        lists = self._lists(rows)
        answer = self._call("rank", {"user_ids": ids, "item_ids": lists})
        listed = slice(1, lists.shape[1])  # without the padding that `_lists` puts first
        return Ranking(
            queries=ids,
            items=lists[:, listed],
            scores=answer["scores"][:, listed],
            known_item=answer["known_item"][:, listed],
            known_user=answer["known_user"],
            titles=self._titles,
        )

    def similar_items(self, items: Sequence, k: int = 10) -> Recommendations:
        """The items most like others; none for items that the model does not know.

        Args:
          items: [n] raw ids.
          k: how many for each.
        """
        k, ids = _count(k), self._ids(items, "item")
        answer = self._call("similar_items", {"item_ids": ids, "k": np.full(len(ids), k, np.int32)})
        return self._recommendations(ids, answer, "known_item", k)

    def recommend_by_history(self, histories: Sequence[Collection], k: int = 10) -> Recommendations:
        """The best items for users who are not in the model, by what they have.

        Args:
          histories: [n] lists of raw item ids, of any length. A history without known items gets popular ones.
          k: items for each.
        """
        k = _count(k)
        if not is_list(histories) or not all(is_list(history) for history in histories):
            raise InvalidRequest("histories must be lists of item ids, one for each user")
        rows = [self._ids(history, "item") for history in histories]
        answer = self._call("retrieve_by_history", {"history": self._lists(rows), "k": np.full(len(rows), k, np.int32)})
        queries = np.empty(len(rows), object)
        for place, row in enumerate(rows):
            queries[place] = row.tolist()
        return self._recommendations(queries, answer, "known_user", k)

    @functools.cached_property
    def _description(self) -> dict:
        return self.describe()

    @functools.cached_property
    def _id_types(self) -> dict[str, str]:
        """Types of raw ids, as the contract names them."""
        types = {id_name: self._description.get(f"{id_name}_type") for id_name in (USER_ID, ITEM_ID)}
        for id_name, found in types.items():
            if not isinstance(found, str) or found not in PADDING_IDS:
                raise ServingError(
                    f"the model describes {id_name}_type as {printable(found)}, not {' or '.join(PADDING_IDS)}"
                )
        return types

    @property
    def _exported_k(self) -> int:
        """How many items `serving_default` answers with."""
        k = self._description.get("k")
        if type(k) is not int:
            raise ServingError(f"the model describes k as {printable(k)}, not a number")
        return k

    def _call(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs of a signature, in the contract's dtypes; asked for in parts where it is too much at once."""
        if len(next(iter(inputs.values()))) == 0:  # REST's JSON cannot say [0, n]
            return {
                tensor.name: np.empty((0,) * tensor.rank, tensor.numpy_dtype_with(self._id_types))
                for tensor in _SIGNATURES[signature].outputs
            }
        parts = parts_that_fit(_SIGNATURES[signature], inputs, self._description)
        answers = [self._answer(signature, part, self._id_types) for part in parts]
        return joined(answers, _SIGNATURES[signature], self.item_id_type)

    def _answer(self, name: str, inputs: dict[str, np.ndarray], id_types: Mapping[str, str]) -> dict[str, np.ndarray]:
        signature = _SIGNATURES[name]
        answer = self.backend.call(name, inputs, tuple(tensor.name for tensor in signature.outputs))
        return as_promised(answer, signature, inputs, id_types)

    def _recommendations(self, queries: np.ndarray, answer: dict, known: str, k: int) -> Recommendations:
        return Recommendations(
            queries=queries,
            items=answer["item_ids"][:, :k],
            scores=answer["scores"][:, :k],
            known=answer[known],
            padding=PADDING_IDS[self.item_id_type],
            titles=self._titles,
            num_unknown=answer.get("num_unknown"),
        )

    def _lists(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Lists of ids from `_ids` as [n, 1 + longest], padded at the end, and with padding in front.

        A server that batches with `pad_variable_length_inputs` fills up all rows by the first element of the first
        one, and refuses tensors without elements: with padding there, both come out right.
        """
        padding = PADDING_IDS[self.item_id_type]
        dtype = object if isinstance(padding, str) else np.int64
        array = np.full((len(rows), 1 + max(map(len, rows), default=0)), padding, dtype)
        for place, row in enumerate(rows):
            array[place, 1 : 1 + len(row)] = row
        return array

    def _for_all(self, row: np.ndarray, batch: int) -> np.ndarray:
        """The same list for each row of a request: once, where that can be said."""
        return self._lists([row] * (batch if self.backend.merges else min(batch, 1)))

    def _ids(self, ids: Collection, what: str) -> np.ndarray:
        """Raw ids in the model's type; numbers and their text stand for each other."""
        return id_array(ids, what, self._id_types[f"{what}_id"])


def _count(k: int) -> int:
    return min(_whole(k, "k", 1), _INT32_MAX)


def _whole(value: int, name: str, least: int) -> int:
    try:
        value = operator.index(value)
    except TypeError:
        raise InvalidRequest(f"{name} must be a whole number, not {shown(value, quoted=True)}") from None
    if value < least:
        raise InvalidRequest(f"{name} must be at least {least}, not {shown(value, quoted=True)}")
    return value


def _share(value: float, name: str) -> float:
    if not isinstance(value, numbers.Real) or not 0 <= value <= 1:
        raise InvalidRequest(f"{name} must be a number from 0 to 1, not {shown(value, quoted=True)}")
    return float(value)
