"""Columns that have types already, of Parquet files, TensorFlow Datasets and DataFrames, as what a reader returns."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_type

from pipelines.errors import InputError, shown
from pipelines.nearest import did_you_mean
from pipelines.raw_ids import Ids
from pipelines.readers.ids import bad_id, check_words, decode_ids
from pipelines.readers.kinds import SECONDS, TEXT, TOKEN, Kind
from pipelines.readers.usual_columns import listed


def require_columns(wanted: Iterable[str], names: Sequence[str], source: object) -> None:
    """Raises InputError unless each wanted name stands among `names` once, suggesting the nearest one."""
    for name in wanted:
        if (count := names.count(name)) != 1:
            nearest = "" if count else did_you_mean(name, [each for each in names if isinstance(each, str)])
            raise InputError(
                f"{count or 'no'} column{'s' * (count > 1)} named {name!r}{nearest or ';'} there are {listed(names)}",
                path=str(source),
                remedy=_NAMES,
            )


_NAMES = "Set `user_column`, `item_column` and so on to names of columns."


def convert(
    column: pa.ChunkedArray, kind: Kind, name: str, source: object, first_row: int = 0
) -> Ids | pa.DictionaryArray:
    """One column of a typed source as its kind.

    Args:
      column: [num_rows] of any type.
      kind: TOKEN, RATING, SECONDS or TEXT.
      name: the column, for error messages.
      source: the file, for error messages.
      first_row: number of the first row in the data, from 0, for error messages.

    Returns:
      TOKEN int64 or text, RATING float32, SECONDS float64 (from numbers, or from dates as seconds since 1970; without a
      zone they count as UTC), TEXT a dictionary array.

    Raises:
      InputError: a value is missing or not of the kind.
    """
    try:
        if is_type.is_dictionary(column.type) and not is_type.is_string(column.type.value_type):
            column = column.cast(column.type.value_type)
        if kind is TEXT:
            words = pc.fill_null(column.cast(pa.string()), "").dictionary_encode()
            return words.unify_dictionaries().combine_chunks()
        _refuse(pc.is_null(column), column, kind, name, source, first_row)
        if kind is TOKEN:
            found = _tokens(column, name, source, first_row)
            return found if isinstance(found, np.ndarray) else decode_ids(found, name, source)
        if kind is SECONDS and (is_type.is_timestamp(column.type) or is_type.is_date(column.type)):
            return _seconds(column, name, source, first_row)
        column = column.cast(kind.arrow, safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _no(kind, column, name, source, error) from None
    _refuse(pc.invert(pc.is_finite(column)), column, kind, name, source, first_row)
    return column.to_numpy()


_US_A_TICK = {"s": 1e6, "ms": 1e3, "us": 1, "ns": 1e-3}


def _seconds(column: pa.ChunkedArray, name: str, source: object, first_row: int) -> np.ndarray:
    """Dates as seconds since 1970, refusing those beyond int64 microseconds, where a cast would begin anew."""
    if is_type.is_date(column.type):
        column = column.cast(pa.timestamp("s" if is_type.is_date32(column.type) else "ms"))
    ticks = column.cast(pa.int64()).to_numpy()
    beyond = np.abs(ticks.astype(np.float64)) * _US_A_TICK[column.type.unit] >= 2.0**63
    if beyond.any():
        row = int(np.argmax(beyond))
        value = f"{ticks[row]} {column.type.unit} from 1970"
        raise InputError(
            f"{name} in row {first_row + row + 1} of the data is {value}, and int64 microseconds do not reach so far",
            path=str(source),
            remedy="Correct or remove the row, or check that this is the right column.",
        )
    return column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64()).to_numpy() / 1e6


def tokens(column: pa.ChunkedArray, name: str, source: object, first_row: int) -> np.ndarray | pa.DictionaryArray:
    """A column of ids, of which it is not known yet whether they are numbers: as `convert` of TOKEN, some rows of it.

    Returns:
      [num_rows] int64, or a dictionary array of texts.
    """
    try:
        if is_type.is_dictionary(column.type) and not is_type.is_string(column.type.value_type):
            column = column.cast(column.type.value_type)
        _refuse(pc.is_null(column), column, TOKEN, name, source, first_row)
        return _tokens(column, name, source, first_row)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _no(TOKEN, column, name, source, error) from None


def _no(kind: Kind, column: pa.ChunkedArray, name: str, source: object, error: Exception) -> InputError:
    return InputError(
        f"column {name!r} of type {column.type} cannot be read as {kind.says} ({shown(str(error))})",
        path=str(source),
        remedy="Name another column, or convert it.",
    )


def _tokens(column: pa.ChunkedArray, name: str, source: object, first_row: int) -> np.ndarray | pa.DictionaryArray:
    if is_type.is_integer(column.type):
        values = column.to_numpy()
        if (bad := np.flatnonzero((values < 0) | (values > np.iinfo(np.int64).max))).size:
            raise bad_id(int(values[bad[0]]), name, first_row + int(bad[0]), source)
        return values.astype(np.int64)
    if is_type.is_floating(column.type):
        raise InputError(
            f"column {name!r} holds {column.type} numbers; ids are integers or text",
            path=str(source),
            remedy="Convert it (in pandas: .astype('int64')).",
        )
    if not (is_type.is_string(column.type) or is_type.is_large_string(column.type)):
        column = column.cast(pa.string())
    coded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    words = coded.dictionary.cast(pa.string())
    if (empty := pc.index(words, "").as_py()) >= 0:
        _refuse(pc.equal(coded.indices, empty), column, TOKEN, name, source, first_row)
    found = pa.DictionaryArray.from_arrays(coded.indices, words)
    check_words(found, name, source, first_row)
    return found


def _refuse(bad: pa.ChunkedArray, column: pa.ChunkedArray, kind: Kind, name: str, source: object, first: int) -> None:
    """Raises InputError about the first row where `bad` is true, where rows are counted from `first`."""
    if (row := pc.index(bad, True).as_py()) >= 0:
        found = shown(column[row].as_py(), quoted=True)
        raise InputError(
            f"{name} {found} in row {first + row + 1} of the data is not {kind.says}",
            path=str(source),
            remedy="Correct or remove the row, or check that this is the right column.",
        )
