"""One interface to an exported model, wherever it runs. The contract is `gdns_tf/serving/README.md`."""

import functools
import json
import operator
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from gdns_tf.clients.backend import Backend, ServedModel
from gdns_tf.clients.errors import InvalidRequest, ServingError
from gdns_tf.clients.results import Ranking, Recommendations

_LISTS = {"item_ids": 2, "scores": 2, "known_user": 1}
_OUTPUTS = {
    "serving_default": _LISTS,
    "retrieve": _LISTS,
    "rank": {"scores": 2, "known_item": 2, "known_user": 1},
    "similar_items": {"item_ids": 2, "scores": 2, "known_item": 1},
    "retrieve_by_history": _LISTS | {"num_unknown": 1},
    "describe": {"json": 1},
}
"""Signature -> its outputs and their ranks."""
_DTYPES = {"scores": np.float32, "known_user": bool, "known_item": bool, "num_unknown": np.int32, "json": object}
_ID_DTYPES = {"int64": np.int64, "string": object}
_PADDING = {"int64": -1, "string": ""}
_INT32_MAX = 2**31 - 1


class Recommender:
    """Recommendations from a model. Safe to use from several threads; close it, or use it in a `with` block.

    Every method raises a `ServingError`: `InvalidRequest` for what the model cannot make sense of, and from servers
    `Unavailable`, `DeadlineExceeded` and `NotFound`.
    """

    def __init__(self, backend: Backend, titles: Mapping | None = None) -> None:
        """Args:
        backend: the model.
        titles: raw item id -> title.
        """
        self._backend = backend
        self._titles = titles or {}

    @classmethod
    def from_saved_model(cls, path: str | Path, titles: Mapping | None = None) -> "Recommender":
        """A version folder, or the newest version of a model's folder, in this process."""
        from gdns_tf.clients.in_process import InProcess

        return cls(InProcess(path), titles)

    @classmethod
    def from_grpc(
        cls,
        address: str,
        model: str = "gdns",
        *,
        version: int | None = None,
        label: str = "",
        timeout: float = 10.0,
        titles: Mapping | None = None,
    ) -> "Recommender":
        """TensorFlow Serving's gRPC port, as `host:8500`; needs the extra `serving`.

        Args:
          address: host and port. Nothing is sent before the first call.
          model: the model's name there.
          version, label: which version, at most one of them; none: the newest.
          timeout: seconds for a call, attempts at a server that is not there among them.
          titles: raw item id -> title.
        """
        from gdns_tf.clients.grpc_server import GrpcServer

        return cls(GrpcServer(address, ServedModel(model, version, label), timeout), titles)

    @classmethod
    def from_rest(
        cls,
        address: str,
        model: str = "gdns",
        *,
        version: int | None = None,
        label: str = "",
        timeout: float = 10.0,
        titles: Mapping | None = None,
    ) -> "Recommender":
        """TensorFlow Serving's REST port, as `http://host:8501`; arguments as for `from_grpc`."""
        from gdns_tf.clients.rest_server import RestServer

        return cls(RestServer(address, ServedModel(model, version, label), timeout), titles)

    def with_titles(self, titles: Mapping) -> "Recommender":
        """The same model, with titles: raw item id -> title."""
        return Recommender(self._backend, titles)

    def __enter__(self) -> "Recommender":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives back connections."""
        self._backend.close()

    def describe(self) -> dict:
        """What the model says about itself: version, id types, exported k, flags, data fingerprint, metrics."""
        (text,) = self._backend.call("describe", {"parts": np.array([""], object)}, ("json",))["json"]
        try:
            return dict(json.loads(text))
        except (TypeError, ValueError) as error:
            raise ServingError(f"signature 'describe' did not answer with a JSON object: {error}") from error

    @property
    def user_id_type(self) -> str:
        """Type of the user ids: "int64" or "string"."""
        return self._types["user_id_type"]

    @property
    def item_id_type(self) -> str:
        """Type of the item ids: "int64" or "string"."""
        return self._types["item_id_type"]

    def recommend(
        self,
        users: Sequence,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        exclude: Collection = (),
        restrict_to: Collection = (),
    ) -> Recommendations:
        """The best items for users; popular ones for users that the model does not know.

        Args:
          users: [n] raw ids.
          k: items for each; fewer come back where fewer are eligible.
          exclude_seen: leave out the items that the user is known to have.
          exclude: item ids to leave out, for all of the users.
          restrict_to: if not empty, the only item ids to choose from.
        """
        k, ids = _count(k), self._ids(users, "user")
        plain = exclude_seen and not len(exclude) and not len(restrict_to)
        if plain and k <= self._types["k"]:
            answer = self._call("serving_default", {"user_ids": ids})
            if len(ids) == 0 or answer["item_ids"].shape[1] >= k:
                return self._recommendations(ids.tolist(), answer, "known_user", k)
            # A version that was exported with a smaller k has taken over: it is asked for as many as are wanted.
        answer = self._call(
            "retrieve",
            {
                "user_ids": ids,
                "k": np.full(len(ids), k, np.int32),
                "exclude_seen": np.full(len(ids), exclude_seen, bool),
                "exclude_ids": self._lists([exclude] * len(ids)),
                "restrict_to": self._lists([restrict_to] * len(ids)),
            },
        )
        return self._recommendations(ids.tolist(), answer, "known_user", k)

    def rank(self, users: Sequence, items: Sequence) -> Ranking:
        """Scores of given items.

        Args:
          users: [n] raw ids.
          items: [num_items] raw ids, the same for all users, or [n, num_items], a list of one length for each.
        """
        ids = self._ids(users, "user")
        nested = len(items) and all(_is_list(row) for row in items)
        rows = list(items) if nested else [items] * len(ids)
        if len(rows) != len(ids) or len({len(row) for row in rows}) > 1:
            raise InvalidRequest(f"{len(ids)} users need a list of items each, of equal length, or one list for all")
        answer = self._call("rank", {"user_ids": ids, "item_ids": self._lists(rows)})
        listed = slice(1, 1 + (len(rows[0]) if rows else 0))  # without the padding that `_lists` puts first
        return Ranking(answer["scores"][:, listed], answer["known_item"][:, listed], answer["known_user"])

    def similar_items(self, items: Sequence, k: int = 10) -> Recommendations:
        """The items most like others; none for items that the model does not know.

        Args:
          items: [n] raw ids.
          k: how many for each.
        """
        k, ids = _count(k), self._ids(items, "item")
        answer = self._call("similar_items", {"item_ids": ids, "k": np.full(len(ids), k, np.int32)})
        return self._recommendations(ids.tolist(), answer, "known_item", k)

    def recommend_by_history(self, histories: Sequence[Collection], k: int = 10) -> Recommendations:
        """The best items for users who are not in the model, by what they have.

        Args:
          histories: [n] lists of raw item ids, of any length. A history without known items gets popular ones.
          k: items for each.
        """
        k = _count(k)
        if not all(_is_list(history) for history in histories):
            raise InvalidRequest("histories must be lists of item ids, one for each user")
        ids = [self._ids(history, "item").tolist() for history in histories]
        answer = self._call("retrieve_by_history", {"history": self._lists(ids), "k": np.full(len(ids), k, np.int32)})
        return self._recommendations(ids, answer, "known_user", k)

    @functools.cached_property
    def _types(self) -> dict:
        description = self.describe()
        for name in ("user_id_type", "item_id_type"):
            if description.get(name) not in _ID_DTYPES:
                raise ServingError(f"the model describes {name} as {description.get(name)!r}, not int64 or string")
        return description

    def _call(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs of a signature, in the contract's dtypes."""
        outputs = _OUTPUTS[signature]
        dtypes = _DTYPES | {"item_ids": _ID_DTYPES[self.item_id_type]}
        if len(next(iter(inputs.values()))) == 0:  # REST's JSON cannot say [0, n]
            return {name: np.empty((0,) * rank, dtypes[name]) for name, rank in outputs.items()}
        answer = self._backend.call(signature, inputs, tuple(outputs))
        return {name: np.asarray(answer[name], dtypes[name]) for name in outputs}

    def _recommendations(self, queries: list, answer: dict, known: str, k: int) -> Recommendations:
        return Recommendations(
            queries=queries,
            items=answer["item_ids"][:, :k],
            scores=answer["scores"][:, :k],
            known=answer[known],
            padding=_PADDING[self.item_id_type],
            titles=self._titles,
            num_unknown=answer.get("num_unknown"),
        )

    def _lists(self, rows: Sequence[Collection]) -> np.ndarray:
        """Item ids [n, 1 + longest], padded at the end, and with padding in front.

        A server that batches with `pad_variable_length_inputs` fills up all rows by the first element of the first
        one, and refuses tensors without elements: with padding there, both come out right.
        """
        padding = _PADDING[self.item_id_type]
        array = np.full((len(rows), 1 + max(map(len, rows), default=0)), padding, _ID_DTYPES[self.item_id_type])
        for place, row in enumerate(rows):
            array[place, 1 : 1 + len(row)] = self._ids(row, "item")
        return array

    def _ids(self, ids: Collection, what: str) -> np.ndarray:
        """Raw ids in the model's type; numbers and their text stand for each other.

        Raises:
          InvalidRequest: an id is of another type or does not fit in 64 bits.
        """
        if not _is_list(ids):
            raise InvalidRequest(f"a list of {what} ids is needed, not {ids!r}")
        kind = self._types[f"{what}_id_type"]
        convert = _integer if kind == "int64" else _text
        values = [convert(raw_id, what) for raw_id in ids]
        array = np.empty(len(values), _ID_DTYPES[kind])
        array[:] = values
        return array


def _is_list(value: object) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)


def _count(k: int) -> int:
    try:
        k = operator.index(k)
    except TypeError:
        raise InvalidRequest(f"k must be a whole number, not {k!r}") from None
    if k < 1:
        raise InvalidRequest(f"k must be at least 1, not {k}")
    return min(k, _INT32_MAX)


def _integer(raw_id: object, what: str) -> int:
    try:
        number = int(raw_id) if isinstance(raw_id, str) else operator.index(raw_id)
    except (TypeError, ValueError):
        raise InvalidRequest(f"{what} id {raw_id!r} is not a whole number, as this model's are") from None
    if not -(2**63) <= number < 2**63:
        raise InvalidRequest(f"{what} id {raw_id!r} does not fit in 64 bits")
    return number


def _text(raw_id: object, what: str) -> str:
    if isinstance(raw_id, str):
        return raw_id
    try:
        return str(operator.index(raw_id))
    except TypeError:
        raise InvalidRequest(f"{what} id {raw_id!r} is not text, as this model's are") from None
