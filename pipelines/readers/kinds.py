"""What the columns of a table must hold: ids, ratings, times, titles."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.raw_ids import MAX_ID_BYTES


@dataclass(frozen=True)
class Kind:
    """What a column must hold."""

    says: str
    """How error messages call it."""
    arrow: pa.DataType
    first_bad: Callable[[pa.ChunkedArray], int]
    """The first row that is of the type `arrow` and yet none of the kind; -1 if there is none."""


def _first(bad: pa.ChunkedArray) -> int:
    return pc.index(pc.fill_null(bad, True), True).as_py()


def _first_no_id(column: pa.ChunkedArray) -> int:
    if not any(pc.any(_is_no_id(chunk.dictionary)).as_py() for chunk in column.chunks):  # for speed
        return -1
    return pc.index(_is_no_id(column.cast(pa.string())), True).as_py()


def _is_no_id(words: pa.Array) -> pa.Array:
    length = pc.binary_length(words)
    return pc.or_(pc.equal(length, 0), pc.greater(length, MAX_ID_BYTES))


def _first_negative(column: pa.ChunkedArray) -> int:
    return _first(pc.less(column, 0))


def _first_infinite(column: pa.ChunkedArray) -> int:
    return _first(pc.invert(pc.is_finite(column)))


def _first_missing(column: pa.ChunkedArray) -> int:
    return _first(pc.is_null(column)) if column.null_count else -1


WORDS = pa.dictionary(pa.int32(), pa.string())
INTEGER_ID = Kind("an id (an integer from 0 to 2^63 - 1)", pa.int64(), _first_negative)
TOKEN = Kind(f"an id (UTF-8 text of 1 to {MAX_ID_BYTES:,} bytes)", WORDS, _first_no_id)
RATING = Kind("a finite number", pa.float32(), _first_infinite)
SECONDS = Kind("a finite number of seconds", pa.float64(), _first_infinite)
DATE = Kind("a date-time such as 2020-12-31 23:59:59", pa.timestamp("ns"), _first_missing)
ZONED_DATE = Kind("a date-time with its zone such as 2020-12-31T23:59:59Z", pa.timestamp("ns", "UTC"), _first_missing)
TEXT = Kind("UTF-8 text", WORDS, _first_missing)
