"""What the signatures of an exported model take and return, for all who must agree about it.

The graph (`model.py`), its warm-up requests (`warmup.py`), the clients (`gdns_tf.clients`) and the table in README.md
beside this file are made from what stands here. Nothing here needs TensorFlow.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

USER_ID, ITEM_ID = "user_id", "item_id"
"""Dtypes that the data decides: raw ids are int64 or string."""
PADDING_IDS = {"int64": -1, "string": ""}
"""Type of raw ids -> the id that stands where there is none, in inputs and outputs."""
PADDING_SCORE = float(np.finfo(np.float32).min)
"""The score of padding and of unknown items: JSON has no infinity."""
TITLES, USER_IDS = "assets.extra/titles.tsv", "assets/user_ids.txt"
"""Files of a version that clients read, where there are any: `id<TAB>title` lines, and the raw ids of all users,
those last who are served by what they have and not by what was learnt of them."""
PROBES = 128
"""Cells that are looked into unasked, with some 8 sqrt(num_items) items: see `index.py`."""
EXPORTED_K = "the exported k"
"""A default that each model has its own value of."""

_NUMPY_DTYPES = {"int64": np.int64, "int32": np.int32, "float32": np.float32, "bool": bool, "string": object}


@dataclass(frozen=True)
class Tensor:
    """One input or output of a signature."""

    name: str
    dtype: str
    """Of TensorFlow, such as "float32"; or USER_ID or ITEM_ID."""
    axes: tuple[str, ...]
    """What its sizes are called. "B|1": as many rows as the batch, or one for all."""
    default: object = None
    """Of an input: what clients send who have nothing to say; None: there is no such thing. () is a list of width 0."""

    @property
    def rank(self) -> int:
        return len(self.axes)

    def dtype_with(self, id_types: Mapping[str, str]) -> str:
        """The dtype in a model, whose types of raw ids are given, as {"user_id": "int64", "item_id": "string"}."""
        return id_types.get(self.dtype, self.dtype)

    def numpy_dtype_with(self, id_types: Mapping[str, str]) -> type:
        """The same for NumPy, which holds strings as objects."""
        return _NUMPY_DTYPES[self.dtype_with(id_types)]


@dataclass(frozen=True)
class Signature:
    """One function of the model."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


_USERS = Tensor("user_ids", USER_ID, ("B",))
_K = Tensor("k", "int32", ("B|1",), EXPORTED_K)
_KNOWN_USER = Tensor("known_user", "bool", ("B",))
_LISTS = (Tensor("item_ids", ITEM_ID, ("B", "K")), Tensor("scores", "float32", ("B", "K")))
SIGNATURES = {
    signature.name: signature
    for signature in (
        Signature("serving_default", (_USERS,), (*_LISTS, _KNOWN_USER)),
        Signature(
            "retrieve",
            (
                _USERS,
                _K,
                Tensor("exclude_seen", "bool", ("B|1",), True),
                Tensor("exclude_ids", ITEM_ID, ("B|1", "E"), ()),
                Tensor("restrict_to", ITEM_ID, ("B|1", "R"), ()),
            ),
            (*_LISTS, _KNOWN_USER),
        ),
        Signature(
            "rank",
            (_USERS, Tensor("item_ids", ITEM_ID, ("B", "C"))),
            (Tensor("scores", "float32", ("B", "C")), Tensor("known_item", "bool", ("B", "C")), _KNOWN_USER),
        ),
        Signature(
            "similar_items",
            (Tensor("item_ids", ITEM_ID, ("B",)), _K),
            (*_LISTS, Tensor("known_item", "bool", ("B",))),
        ),
        Signature(
            "retrieve_by_history",
            (Tensor("history", ITEM_ID, ("B", "H")), _K),
            (*_LISTS, _KNOWN_USER, Tensor("num_unknown", "int32", ("B",))),
        ),
        Signature(
            "explain",
            (_USERS, Tensor("item_ids", ITEM_ID, ("B", "C")), Tensor("k", "int32", ("B|1",), 3)),
            (
                Tensor("because_ids", ITEM_ID, ("B", "C", "K")),
                Tensor("contributions", "float32", ("B", "C", "K")),
                Tensor("of_history", "float32", ("B", "C")),
                _KNOWN_USER,
            ),
        ),
        Signature(
            "cosines", (Tensor("item_ids", ITEM_ID, ("B", "C")),), (Tensor("cosines", "float32", ("B", "C", "C")),)
        ),
        Signature("describe", (Tensor("parts", "string", ("B",), ""),), (Tensor("json", "string", ("B",)),)),
    )
}
"""All signatures of a model, by name."""
APPROXIMATE = Signature(
    "retrieve_approximately",
    (
        _USERS,
        _K,
        Tensor("probes", "int32", ("B|1",), PROBES),
        Tensor("exclude_seen", "bool", ("B|1",), True),
        Tensor("exclude_ids", ITEM_ID, ("B|1", "E"), ()),
    ),
    (*_LISTS, _KNOWN_USER),
)
"""What a model with an index has besides."""


def id_type(ids: np.ndarray) -> str:
    """Type of raw ids [n] in the model: "int64" or "string"."""
    return "int64" if ids.dtype.kind in "iu" else "string"


def format_table(signatures: Iterable[Signature] = SIGNATURES.values()) -> str:
    """Signatures as a table in Markdown, with `U` and `I` for the types of raw user and item ids."""
    lines = ["| signature | inputs (default) | outputs |", "| --- | --- | --- |"]
    for signature in signatures:
        inputs = "; ".join(f"{_format(tensor)}{_format_default(tensor)}" for tensor in signature.inputs)
        lines.append(f"| `{signature.name}` | {inputs} | {', '.join(map(_format, signature.outputs))} |")
    return "\n".join(lines)


def _format(tensor: Tensor) -> str:
    axes = ", ".join(tensor.axes).replace("|", "\\|")
    return f"`{tensor.name}` {tensor.dtype_with({USER_ID: 'U', ITEM_ID: 'I'})} [{axes}]"


def _format_default(tensor: Tensor) -> str:
    if tensor.default is None:
        return ""
    if tensor.default == ():
        return f" ({tensor.axes[-1]} = 0)"
    return {True: " (true)", "": ' (`""`)'}.get(tensor.default, f" ({tensor.default})")
