"""Tables in memory: pandas and polars DataFrames and Arrow tables, which narwhals gives one face."""

from collections.abc import Mapping
from dataclasses import replace

import narwhals as nw
import numpy as np
import pyarrow as pa
from narwhals.exceptions import DuplicateError
from narwhals.typing import IntoDataFrame

from pipelines.config import COLUMNS, DEFAULT_COLUMNS, DataConfig
from pipelines.errors import InputError, shown
from pipelines.interactions import Ratings
from pipelines.notices import notices
from pipelines.raw_ids import Ids
from pipelines.readers.columns import to_ratings, wanted_columns
from pipelines.readers.kinds import Kind
from pipelines.readers.typed import convert, require_columns
from pipelines.readers.usual_columns import recognised

_SOURCE = "the DataFrame"


def with_columns(frame: IntoDataFrame, config: DataConfig) -> DataConfig:
    """The settings with the columns that they leave open: told by usual names, where neither user nor item is named.

    Raises:
      InputError: it is no DataFrame, or it is not plain which column is what.
    """
    if config.user_column or config.item_column:
        return replace(config, **{name: getattr(config, name) or column for name, column in DEFAULT_COLUMNS.items()})
    found = recognised(config, _opened(frame, _SOURCE).columns, _SOURCE)
    named = ", ".join(f"`{name}`={getattr(found, name)!r}" for name in COLUMNS if getattr(found, name))
    notices.info(f"{_SOURCE}: read with {named}, where not given told by the names of the columns.")
    return found


def read(frame: IntoDataFrame, config: DataConfig) -> Ratings:
    """Reads a table in memory.

    Args:
      frame: the table.
      config: the names of its columns.

    Returns:
      `Ratings` with int64 or text ids, and grades, times and titles where `config` names their columns.

    Raises:
      InputError: it is no DataFrame or has no rows, a column is missing, or a value is missing or not of its kind.
    """
    return to_ratings(read_columns(frame, wanted_columns(config), _SOURCE), config, _SOURCE)


def read_columns(frame: IntoDataFrame, kinds: Mapping[str, Kind], source: str) -> dict[str, Ids | pa.DictionaryArray]:
    """The columns that `kinds` names, in the order of the rows; see `pipelines.readers.typed.convert`.

    Args:
      frame: the table.
      kinds: column name -> what it must hold.
      source: what error messages call the table.
    """
    table = _opened(frame, source)
    require_columns(kinds, table.columns, source)
    if not len(table):
        raise InputError("empty: there are no rows", path=source)
    return {name: convert(_arrow(table.get_column(name), source), kind, name, source) for name, kind in kinds.items()}


def _opened(frame: IntoDataFrame, source: str) -> nw.DataFrame:
    try:
        return nw.from_native(frame, eager_only=True)
    except TypeError:
        raise InputError(
            f"a {type(frame).__module__}.{type(frame).__name__} is not a DataFrame",
            path=source,
            remedy="Give a pandas or polars DataFrame (a LazyFrame: .collect() it first) or an Arrow table.",
        ) from None
    except DuplicateError as error:
        problem = " ".join(str(error).split())
        raise InputError(problem, path=source, remedy="Rename or drop one of the columns.") from None


def _arrow(column: nw.Series, source: str) -> pa.ChunkedArray:
    try:
        found = column.to_arrow()
        return found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        values = column.to_list()
        kinds = {type(value): row for row, value in reversed(list(enumerate(values))) if not _is_missing(value)}
        (first, _), *others = sorted(kinds.items(), key=lambda kind_and_row: kind_and_row[1])
        if not others:
            problem = f"column {column.name!r} holds {first.__name__} values, which cannot be read"
            if (row := _first_unreadable(values)) is not None:
                value = shown(values[row], quoted=True)
                problem = f"{column.name} {value} in row {row + 1} of the data cannot be read"
            problem += f" ({shown(str(error))})"
            raise InputError(problem, path=source, remedy="Convert it to numbers or text.") from None
        other, row = others[0]
        where = f"{column.name} {shown(values[row], quoted=True)} in row {row + 1} of the data"
        raise InputError(
            f"{where} is of type {other.__name__}, where the rows before hold {first.__name__}",
            path=source,
            remedy="Give the column one type (in pandas: .astype(str)).",
        ) from None


def _first_unreadable(values: list) -> int | None:
    """The first row that cannot be read by itself, such as a number that no type of Arrow holds."""
    for row, value in enumerate(values):
        try:
            pa.array([value])
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return row
    return None


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))
