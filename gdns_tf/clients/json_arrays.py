"""Nested lists of a JSON answer as arrays, whoever sent them."""

import itertools

import numpy as np

from gdns_tf.clients.errors import ServingError

_MOST_DIMENSIONS = 4
"""More than any signature has."""
_DTYPES = ((frozenset({bool}), bool), (frozenset({int}), np.int64), (frozenset({int, float}), np.float64))


def array_from_json(value: object, name: str) -> np.ndarray:
    """Rectangular lists of numbers, of strings, or of true and false.

    Args:
      value: as `json.loads` gives it.
      name: of the output, for messages.

    Returns:
      int64, float64, bool or, for strings, `object`; of empty lists float64, for they do not say.

    Raises:
      ServingError: the lists are ragged, nested too deeply, or mixed; a number or a string is none that there can be.
    """
    shape, level = [], [value]
    while isinstance(level[0], list) if level else False:
        width = len(level[0])
        if not all(isinstance(row, list) and len(row) == width for row in level):
            raise ServingError(f"output {name!r} is a list of rows that are not equally long")
        shape.append(width)
        level = list(itertools.chain.from_iterable(level))
        if len(shape) > _MOST_DIMENSIONS:
            raise ServingError(f"output {name!r} is nested too deeply")
    return _flat(level, name).reshape(shape)


def _flat(values: list, name: str) -> np.ndarray:
    kinds = set(map(type, values))
    if kinds == {str}:
        return _texts(values, name)
    for allowed, dtype in _DTYPES:
        if kinds and kinds <= allowed:
            try:
                return np.array(values, dtype)
            except OverflowError:
                raise ServingError(f"output {name!r} holds a number beyond 64 bits") from None
    if kinds:
        told = ", ".join(sorted({"NoneType": "null", "dict": "object"}.get(k.__name__, k.__name__) for k in kinds))
        raise ServingError(f"output {name!r} holds values that make no array: {told}")
    return np.zeros(0)


def _texts(values: list[str], name: str) -> np.ndarray:
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        raise ServingError(f"output {name!r} holds text that is not Unicode") from None
    array = np.empty(len(values), object)
    array[:] = values
    return array
