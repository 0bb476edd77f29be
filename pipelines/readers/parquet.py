"""Reads typed columns from Parquet files; the counterpart of `pipelines.readers.delimited` for tables with types."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc
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
        raise differ(error, whole) from None
    if not table.num_rows:
        raise no_rows(whole)
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


_TEXT = (pa.string(), pa.large_string())
_SMALL = 64 << 20
"""Bytes of a file up to which each text is read once, and then put into the rows that have it. (All the different ids
of a long file might be more than fit into one array.)"""
_FREE_TEXT, _MAX_TEXT_A_BYTE = 1 << 30, 100
"""Bytes of text that all rows may have, and beyond them how many for each of the file's."""


def no_rows(whole: object) -> InputError:
    """The error for a table without rows."""
    return InputError("empty: there are no rows", path=str(whole), remedy="Check that the file was written whole.")


def differ(error: Exception, whole: object) -> InputError:
    """The error for parts that have not the same types."""
    problem = f"the parts differ in their types ({shown(str(error))})"
    return InputError(problem, path=str(whole), remedy=_AGAIN)


def layout(source: Source, kinds: Mapping[str, Kind]) -> tuple[pa.Schema, list[int]]:
    """The types of the columns that `kinds` names, and how many rows each group of rows has.

    Raises:
      InputError: the file is damaged, lacks a column, or has absurdly many rows.
    """
    size = _size(source)
    with _opened(source) as content:
        _check_layout(content, kinds, size, source)
        schema = pa.schema([content.schema_arrow.field(name).remove_metadata() for name in kinds])
        rows = [content.metadata.row_group(number).num_rows for number in range(content.num_row_groups)]
        return schema, rows


def read_groups(source: Source, kinds: Mapping[str, Kind], groups: Sequence[int]) -> pa.Table:
    """The columns that `kinds` names of some groups of rows.

    Raises:
      InputError: the file is damaged, or has absurdly much text.
    """
    return _read(source, kinds, groups)


def _check_layout(content: pyarrow.parquet.ParquetFile, kinds: Mapping[str, Kind], size: int, source: Source) -> None:
    require_columns(kinds, content.schema_arrow.names, source)
    if (rows := content.metadata.num_rows) > max(_FREE_ROWS, _MAX_ROWS_A_BYTE * size):
        raise _bomb(f"{rows:,} rows", size, source)


def _read(source: Source, kinds: Mapping[str, Kind], groups: Sequence[int] | None = None) -> pa.Table:
    size = _size(source)
    with _opened(source) as content:
        _check_layout(content, kinds, size, source)
        texts = [name for name in kinds if content.schema_arrow.field(name).type in _TEXT] if size < _SMALL else []
    with _opened(source, texts) as content:
        names = list(kinds)
        table = content.read(columns=names) if groups is None else content.read_row_groups(groups, columns=names)
        return _written_out(table, size, source)


def _written_out(table: pa.Table, size: int, source: Source) -> pa.Table:
    """The table with its texts in every row, where it has them once each.

    Raises:
      InputError: that would be absurdly much.
    """
    coded = [field.name for field in table.schema if _is_coded_text(field.type)]
    length = sum(_text_bytes(chunk) for name in coded for chunk in table[name].chunks)
    if length > max(_FREE_TEXT, _MAX_TEXT_A_BYTE * size):
        raise _bomb(f"{length:,} bytes of text", size, source)
    for name in coded:
        column = table[name]
        table = table.set_column(table.column_names.index(name), name, column.cast(column.type.value_type))
    return table


def _is_coded_text(kind: pa.DataType) -> bool:
    return pa.types.is_dictionary(kind) and kind.value_type in _TEXT


def _text_bytes(chunk: pa.DictionaryArray) -> int:
    return pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices)).as_py() or 0


def _bomb(what: str, size: int, source: Source) -> InputError:
    problem = f"{what} in {size:,} bytes, and no real data packs so well"
    return InputError(problem, path=source, remedy="Check where it comes from.")


def _size(source: Source) -> int:
    """Bytes of the file."""
    with source.open() as file:
        return file.seek(0, os.SEEK_END)


@contextmanager
def _opened(source: Source, coded: Sequence[str] = ()) -> Iterator[pyarrow.parquet.ParquetFile]:
    with source.open() as file:
        try:
            yield pyarrow.parquet.ParquetFile(file, read_dictionary=list(coded))
        except InputError:
            raise
        except UnicodeDecodeError:
            problem = "the name of a column is not UTF-8"
            raise InputError(problem, path=source, remedy="Write it again with other names.") from None
        except Exception as error:  # of bytes that are no Parquet it may be nearly any
            raise InputError(f"not Parquet, or damaged ({shown(str(error))})", path=source, remedy=_AGAIN) from None
