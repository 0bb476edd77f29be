"""Raw ids that callers give, as the arrays that a model takes."""

import operator
from collections.abc import Collection, Mapping

import numpy as np

from gdns_tf.clients.errors import InvalidRequest
from pipelines.errors import shown


def id_array(ids: Collection, what: str, id_type: str) -> np.ndarray:
    """Raw ids [n] in the model's type, int64 or str objects; numbers and their text stand for each other.

    Args:
      ids: what the caller gave.
      what: "user" or "item", for messages.
      id_type: "int64" or "string".

    Raises:
      InvalidRequest: they are no list, or an id is of another type, does not fit in 64 bits or is no Unicode.
    """
    if not is_list(ids):
        raise InvalidRequest(f"a list of {what} ids is needed, not {shown(ids, quoted=True)}")
    convert = _integer if id_type == "int64" else _text
    values = [convert(raw_id, what) for raw_id in ids]
    array = np.empty(len(values), np.int64 if id_type == "int64" else object)
    array[:] = values
    return array


def is_list(value: object) -> bool:
    """Whether it is a list of things, and not a thing."""
    return isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)


def _integer(raw_id: object, what: str) -> int:
    try:
        number = int(raw_id) if isinstance(raw_id, str) else operator.index(raw_id)
    except (TypeError, ValueError):
        given = shown(raw_id, quoted=True)
        raise InvalidRequest(f"{what} id {given} is not a whole number, as this model's are") from None
    if not -(2**63) <= number < 2**63:
        raise InvalidRequest(f"{what} id {shown(raw_id, quoted=True)} does not fit in 64 bits")
    return number


def _text(raw_id: object, what: str) -> str:
    try:
        text = raw_id if isinstance(raw_id, str) else str(operator.index(raw_id))
        text.encode()
    except (TypeError, ValueError):
        raise InvalidRequest(f"{what} id {shown(raw_id, quoted=True)} is not text, as this model's are") from None
    return text
