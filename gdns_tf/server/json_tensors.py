"""TensorFlow Serving's mapping between JSON and tensors (`util/json_tensor.cc`), its messages included.

JSON here may hold NaN, Infinity and -Infinity, both ways. Strings are UTF-8, and bytes that are not come through.
"""

import base64
import binascii
import contextlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from gdns_tf.server.refusal import Refusal, invalid

Infos = Mapping[str, meta_graph_pb2.TensorInfo]
"""Input of a signature -> its dtype and shape."""

_ENCODING = ("utf-8", "surrogateescape")
_MOST_SHOWN = 256
_MOST_DIMENSIONS = 16
_MOST_EXPLAINED = 100_000
"""Rows among which one of a wrong value is looked for; of more, the message does not say which it is."""
_NUMBERS = {
    tf.float32: (int, float),
    tf.float64: (int, float),
    tf.int8: (int,),
    tf.int16: (int,),
    tf.int32: (int,),
    tf.int64: (int,),
    tf.uint8: (int,),
    tf.uint32: (int,),
    tf.uint64: (int,),
}
"""Dtype -> the types of its values in parsed JSON. A bool is none of them, whatever Python says."""
_KINDS = {type(None): "Null", dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}


def parse_json(body: bytes) -> dict:
    """The object that a request's body is; what follows it is passed over, as TensorFlow Serving does.

    Raises:
      Refusal: it is no JSON, or no object.
    """
    try:
        text = body.decode(*_ENCODING).lstrip("\ufeff \t\r\n")
        if not text:
            raise invalid("JSON Parse error: The document is empty")
        value, _ = json.JSONDecoder().raw_decode(text)
    except RecursionError:
        raise invalid("JSON Parse error: nested too deeply") from None
    except ValueError as error:
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(value, dict):
        raise _wrong(value, "Is not object")
    return value


def arrays_from_json(request: dict, signature: str, infos: Infos) -> tuple[dict[str, np.ndarray], bool]:
    """The inputs that a predict request holds, and whether they are in rows (`instances`) or columns (`inputs`).

    Args:
      request: the parsed body.
      signature: the signature's name, for messages.
      infos: its inputs.

    Raises:
      Refusal: they are not what the signature takes.
    """
    if not infos:
        raise invalid(f"Failed to get input map for signature: {signature}")
    if "instances" in request and "inputs" in request:
        raise _wrong(request, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ")
    try:
        if "instances" in request:
            return _rows(request, infos), True
        if "inputs" in request:
            return _columns(request["inputs"], infos), False
    except RecursionError:
        raise invalid("lists are nested too deeply") from None
    raise invalid("Missing 'inputs' or 'instances' key")


def json_from_arrays(outputs: Mapping[str, np.ndarray], by_rows: bool) -> bytes:
    """The response: outputs in rows or in columns; a single output stands without its name.

    Raises:
      Refusal: outputs cannot be put into rows.
    """
    if not by_rows:
        columns = {name: _plain(name, array) for name, array in outputs.items()}
        return encode_json({"outputs": columns if len(columns) > 1 else next(iter(columns.values()))})
    size = None
    for name, array in outputs.items():
        if array.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information ")
        size = len(array) if size is None else size
        if len(array) != size:
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {size}")
    columns = {name: _plain(name, array) for name, array in outputs.items()}
    if len(columns) == 1:
        return encode_json({"predictions": next(iter(columns.values()))})
    rows = zip(*columns.values(), strict=True)
    return encode_json({"predictions": [dict(zip(columns, row, strict=True)) for row in rows]})


def _columns(inputs: object, infos: Infos) -> dict[str, np.ndarray]:
    if not _is_named(inputs):
        if len(infos) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        inputs = {next(iter(infos)): inputs}
    for name in infos:
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _array(inputs[name], tf.dtypes.as_dtype(info.dtype)) for name, info in infos.items()}


def _rows(request: dict, infos: Infos) -> dict[str, np.ndarray]:
    rows = request["instances"]
    if not isinstance(rows, list):
        raise _wrong(request, "Expecting 'instances' to be an list/array")
    if not rows:
        raise _wrong(request, "No values in 'instances' array")
    if not isinstance(rows[0], dict) and len(infos) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    named = _is_named(rows[0])
    columns = _in_columns(rows, named, infos)
    if columns is not None:
        try:
            return {name: _array(values, tf.dtypes.as_dtype(infos[name].dtype)) for name, values in columns.items()}
        except Refusal:
            if len(rows) > _MOST_EXPLAINED:
                raise
    raise _wrong_row(rows, named, infos)


def _in_columns(rows: list, named: bool, infos: Infos) -> dict[str, list] | None:
    """Input -> its value in each row; None where a row is not like the others."""
    if not named:
        return None if any(map(_is_named, rows)) else {next(iter(infos)): rows}
    if any(not _is_named(row) or row.keys() != infos.keys() for row in rows):
        return None
    return {name: [row[name] for row in rows] for name in infos}


def _wrong_row(rows: list, named: bool, infos: Infos) -> Refusal:
    """What is wrong with the first row that is, as TensorFlow Serving says it."""
    shapes: dict[str, tuple[int, ...]] = {}
    for number, row in enumerate(rows):
        if _is_named(row) != named:
            expected, got = ("object", "list") if named else ("value/list", "object")
            return invalid(f"Expecting {expected} but got {got} at item {number} of input list")
        for name, value in (row if named else {next(iter(infos)): row}).items():
            if name in infos and len(rows) > _MOST_EXPLAINED:
                continue
            try:
                _check_value(shapes, name, value, infos)
            except Refusal as refusal:
                key = f" key: {name}" if named else ""
                return invalid(
                    f"Failed to process element: {number}{key} of 'instances' list. "
                    f"Error: {refusal.code}: {refusal.message}"
                )
        if named and len(row) != len(infos):
            return invalid(
                f"Failed to process element: {number} of 'instances' list. JSON object: {_shown(row)} "
                f"keys must be equal to: {','.join(sorted(infos))}"
            )
    return invalid("the rows of 'instances' are not alike")


def _check_value(shapes: dict[str, tuple[int, ...]], name: str, value: object, infos: Infos) -> None:
    """Refuses one row's value of an input, which must be like the first row's."""
    if name not in infos:
        raise invalid(f"JSON object: does not have named input: {name}")
    shape = _array(value, tf.dtypes.as_dtype(infos[name].dtype)).shape
    if shape != shapes.setdefault(name, shape):
        expected, found = (",".join(map(str, each)) for each in (shapes[name], shape))
        raise invalid(f"Expecting shape [{expected}] but got: [{found}]")


def _array(value: object, dtype: tf.DType) -> np.ndarray:
    """A nested list as an array: its shape is that of the first elements, with which all others must agree."""
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
        if len(shape) > _MOST_DIMENSIONS:
            raise invalid("lists are nested too deeply")
    flat = _flattened(value, shape)
    if flat is None:
        flat = list(_leaves(value, shape, 0))  # says what is wrong
    if dtype == tf.string:
        array = np.empty(len(flat), object)
        array[:] = [_bytes(leaf) for leaf in flat]
    elif dtype == tf.bool or dtype in _NUMBERS:
        array = _numbers(flat, dtype)
    else:
        raise Refusal("UNIMPLEMENTED", f"Conversion of JSON Value: {_shown(value)} to type: {dtype.name}")
    return array.reshape(shape)


def _flattened(value: object, shape: list[int]) -> list | None:
    """What stands in a nested list, level by level: there may be millions of them. None if it has another shape."""
    level = [value]
    for size in shape:
        if set(map(type, level)) - {list} or set(map(len, level)) - {size}:
            return None
        level = list(itertools.chain.from_iterable(level))
    return None if list in set(map(type, level)) else level


def _leaves(value: object, shape: list[int], level: int) -> Iterator[object]:
    """What stands in a nested list, which must have this shape from this level on."""
    if not isinstance(value, list):
        if level != len(shape):
            raise _wrong(
                value, f"found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {len(shape)}"
            )
        yield value
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    if level == len(shape) - 1 and not any(isinstance(element, list) for element in value):
        yield from value
        return
    for element in value:
        yield from _leaves(element, shape, level + 1)


def _numbers(flat: list, dtype: tf.DType) -> np.ndarray:
    """[n] of a number's dtype, or of bool; all at once, for lists may be long."""
    allowed = (bool,) if dtype == tf.bool else _NUMBERS[dtype]
    if set(map(type, flat)) <= set(allowed):
        try:
            with np.errstate(over="ignore"):  # numbers beyond float32 are infinite in it
                return np.array(flat, dtype.as_numpy_dtype)
        except OverflowError:
            pass
    raise next(_mistyped(leaf, dtype) for leaf in flat if not _fits(leaf, allowed, dtype))


def _fits(leaf: object, allowed: tuple[type, ...], dtype: tf.DType) -> bool:
    if type(leaf) not in allowed:
        return False
    if dtype.is_integer:
        return dtype.min <= leaf <= dtype.max
    return type(leaf) is not int or math.isfinite(_as_float(leaf))


def _as_float(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _bytes(leaf: object) -> bytes:
    if isinstance(leaf, str):
        try:
            return leaf.encode(*_ENCODING)
        except UnicodeEncodeError:
            raise invalid("JSON Parse error: The surrogate pair in string is invalid.") from None
    if _is_base64(leaf):
        try:
            return base64.b64decode(leaf["b64"], validate=True)
        except (binascii.Error, ValueError):
            raise invalid("Unable to base64 decode") from None
    if isinstance(leaf, dict):
        raise _wrong(leaf, "not formatted correctly for base64 data")
    raise _mistyped(leaf, tf.string)


def _plain(name: str, array: np.ndarray) -> object:
    """What an output is in JSON, as lists of Python's values."""
    if array.dtype == object:
        flat = [leaf if isinstance(leaf, bytes) else str(leaf).encode() for leaf in array.ravel().tolist()]
        texts = np.empty(array.size, object)
        texts[:] = [
            {"b64": base64.b64encode(leaf).decode()} if name.endswith("_bytes") else leaf.decode(*_ENCODING)
            for leaf in flat
        ]
        return texts.reshape(array.shape).tolist()
    if array.dtype == np.float32:  # as short as tells it from other float32, and not from other float64
        return array.astype(str).astype(np.float64).tolist()
    return array.tolist()


def encode_json(value: object) -> bytes:
    """A value as JSON, in which strings may stand for bytes that are no UTF-8 (Python's `surrogateescape`)."""
    try:
        return json.dumps(value, ensure_ascii=False).encode(*_ENCODING)
    except UnicodeEncodeError:  # messages repeat what was asked, which may hold half of a surrogate pair
        return json.dumps(value).encode()


def _is_named(value: object) -> bool:
    """Whether it is an object with a value for each name, and not a value itself."""
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value: object) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def _wrong(value: object, what: str) -> Refusal:
    return invalid(f"JSON Value: {_shown(value)} {what}")


def _mistyped(value: object, dtype: tf.DType) -> Refusal:
    kind = str(value) if isinstance(value, bool) else _KINDS[type(value)]
    return invalid(f"JSON Value: {_shown(value)} Type: {kind} is not of expected type: {dtype.name}")


def _shown(value: object) -> str:
    """The beginning of a value as JSON; not made longer than it is shown."""
    parts, length = [], 0
    with contextlib.suppress(RecursionError):
        for part in json.JSONEncoder().iterencode(value):
            parts.append(part)
            length += len(part)
            if length > _MOST_SHOWN:
                break
    return "".join(parts)[:_MOST_SHOWN]
