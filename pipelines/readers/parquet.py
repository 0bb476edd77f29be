"""Reads typed columns from Parquet files; the counterpart of `pipelines.readers.delimited` for tables with types."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet

from pipelines.errors import InputError, shown
from pipelines.raw_ids import Ids
from pipelines.readers.files import Source
from pipelines.readers.kinds import Kind
from pipelines.readers.typed import convert, require_columns


def read_parts(
    sources: Sequence[Source], kinds: Mapping[str, Kind], whole: object
) -> dict[str, Ids | pa.DictionaryArray]:
    """Reads the columns that `kinds` names from a table that is spread over one or more files.

    Args:
      sources: the files, in order.
      kinds: column name -> what it must hold.
      whole: what error messages about all of them call the table.

    Returns:
      Column name -> its values in the order of the files; see `pipelines.readers.typed.convert`.

    Raises:
      InputError: a file is damaged, there are no rows, a column is missing, or a value is missing or not of its kind.
    """
    tables = [_read(source, kinds) for source in sources]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        problem = f"the parts differ in their types ({shown(str(error))})"
        raise InputError(problem, path=str(whole), remedy=_AGAIN) from None
    if not table.num_rows:
        raise InputError("empty: there are no rows", path=str(whole), remedy="Check that the file was written whole.")
    return {name: convert(table[name], kind, name, whole) for name, kind in kinds.items()}


def header(source: Source) -> list[str]:
    """The names of the columns.

    Raises:
      InputError: the file is damaged.
    """
    with _opened(source) as content:
        return content.schema_arrow.names


_AGAIN = "Write or copy it again."
_FREE_ROWS, _MAX_ROWS_A_BYTE = 10**7, 100
"""A file may have so many rows, and beyond them so many for each of its bytes: few bytes can hold billions of equal
rows."""


def _read(source: Source, kinds: Mapping[str, Kind]) -> pa.Table:
    with _opened(source) as content:
        require_columns(kinds, content.schema_arrow.names, source)
        rows = content.metadata.num_rows
        if rows > max(_FREE_ROWS, _MAX_ROWS_A_BYTE * (size := _size(source))):
            raise InputError(
                f"{rows:,} rows in {size:,} bytes, and no real data packs so well",
                path=source,
                remedy="Check where it comes from.",
            )
        return content.read(columns=list(kinds))


def _size(source: Source) -> int:
    """Bytes of the file."""
    with source.open() as file:
        return file.seek(0, os.SEEK_END)


@contextmanager
def _opened(source: Source) -> Iterator[pyarrow.parquet.ParquetFile]:
    with source.open() as file:
        try:
            yield pyarrow.parquet.ParquetFile(file)
        except InputError:
            raise
        except UnicodeDecodeError:
            problem = "the name of a column is not UTF-8"
            raise InputError(problem, path=source, remedy="Write it again with other names.") from None
        except Exception as error:  # of bytes that are no Parquet it may be nearly any
            raise InputError(f"not Parquet, or damaged ({shown(str(error))})", path=source, remedy=_AGAIN) from None
