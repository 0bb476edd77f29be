"""Reads typed columns from delimited text at C speed, and says which line is bad when one is.

The text is cut into blocks of whole lines, and `pyarrow.csv` parses each, so memory holds one block of text and the
columns asked for. When a block is refused, the first bad line is found by bisection with that very parser, so the
diagnosis cannot disagree with the parse.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pipelines.errors import InputError
from pipelines.readers.files import Source, not_utf8
from pipelines.readers.ids import decode_ids

_BLOCK_BYTES = 16 << 20
_MAX_RECORD_BYTES = 64 << 20
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Kind:
    """What a column must hold."""

    says: str
    """How error messages call it."""
    arrow: pa.DataType
    valid: Callable[[pa.ChunkedArray], bool]


def _complete_dictionary(column: pa.ChunkedArray) -> bool:
    return all(pc.index(chunk.dictionary, "").as_py() < 0 for chunk in column.chunks)


def _not_negative(column: pa.ChunkedArray) -> bool:
    return column.null_count == 0 and pc.all(pc.greater_equal(column, 0), min_count=0).as_py()


def _finite(column: pa.ChunkedArray) -> bool:
    return column.null_count == 0 and pc.all(pc.is_finite(column), min_count=0).as_py()


def _complete(column: pa.ChunkedArray) -> bool:
    return column.null_count == 0


_WORDS = pa.dictionary(pa.int32(), pa.string())
INTEGER_ID = Kind("an id (an integer from 0 to 2^63 - 1)", pa.int64(), _not_negative)
TOKEN = Kind("an id (UTF-8 text that is not empty)", _WORDS, _complete_dictionary)
RATING = Kind("a finite number", pa.float32(), _finite)
SECONDS = Kind("a finite number of seconds", pa.float64(), _finite)
DATE = Kind("a date-time such as 2020-12-31 23:59:59", pa.timestamp("ns"), _complete)
ZONED_DATE = Kind("a date-time with its zone such as 2020-12-31T23:59:59Z", pa.timestamp("ns", "UTC"), _complete)
TEXT = Kind("UTF-8 text", _WORDS, _complete)
_NOTHING = Kind("empty", pa.null(), lambda column: True)
_ANYTHING = Kind("anything", pa.binary(), lambda column: True)


@dataclass(frozen=True)
class Format:
    """How a file separates its columns."""

    delimiter: str
    names: tuple[str, ...] | None = None
    """The columns; one without a name must be empty (between the colons of `1::2`). None: the first line has them."""
    quoted: bool = False
    """Whether values may stand in double quotes, with delimiters and line ends inside."""

    def split(self, line: str) -> list[str]:
        """The values of one line."""
        quoting = csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE
        return next(csv.reader([line], delimiter=self.delimiter, quoting=quoting), [])


def peek(source: Source, form: Format, count: int) -> list[list[str]]:
    """The values of the first `count` lines that are not blank (fewer if the file has fewer).

    Raises:
      InputError: the file cannot be read or is not UTF-8 text.
    """
    with source.open() as file:
        return [form.split(text) for _, text in islice(_lines(file, source), count)]


def read_columns(source: Source, form: Format, kinds: Mapping[str, Kind]) -> dict[str, np.ndarray | pa.DictionaryArray]:
    """Reads the columns that `kinds` names; others are skipped unread.

    Returns:
      Column name -> its values in the order of the file: INTEGER_ID int64, TOKEN int64 or str (see
      `pipelines.readers.ids`), RATING float32, SECONDS float64, dates datetime64[ns], TEXT a dictionary array.

    Raises:
      InputError: the file cannot be read, has no rows, lacks a column or holds a value that is not of its kind.
    """
    with source.open() as file:
        start, given, unnamed = 1, form, [position for position, name in enumerate(form.names or ()) if not name]
        if form.names is None:
            line, header = next(_lines(file, source), (0, ""))
            form, start = replace(form, names=tuple(form.split(header))), line + 1
        positions = _positions(source, form, kinds)
        parser = _Parser(source, form, positions | dict.fromkeys(unnamed, _NOTHING))
        tables = [parser.parse(line, block) for line, block in _blocks(file, source, form, start)]
    if not sum(table.num_rows for table in tables):
        raise InputError("empty: there are no rows", path=source, remedy="Check that the file was copied whole.")
    table = pa.concat_tables(tables)
    del tables
    columns = {}
    for name, kind in kinds.items():
        column = table[str(form.names.index(name))]
        if kind.arrow == _WORDS:
            words = column.unify_dictionaries().combine_chunks()
            columns[name] = words if kind is TEXT else _ids(words, name, source, given)
        else:
            columns[name] = column.to_numpy()
    return columns


def _ids(words: pa.DictionaryArray, name: str, source: Source, form: Format) -> np.ndarray:
    """`decode_ids`, with its error about a row replaced by one about a line where the parser sees it so."""
    try:
        return decode_ids(words, name, source)
    except InputError:
        read_columns(source, form, {name: INTEGER_ID})
        raise


def _positions(source: Source, form: Format, kinds: Mapping[str, Kind]) -> dict[int, Kind]:
    """Where each wanted column stands.

    Raises:
      InputError: one is not there, or is there twice.
    """
    if not form.names:
        raise InputError("empty", path=source, remedy="The first line must name the columns.")
    for name in kinds:
        if (count := form.names.count(name)) != 1:
            hint = f", and that they are separated by {form.delimiter!r}" if len(form.names) == 1 else ""
            raise InputError(
                f"{'no column' if not count else f'{count} columns'} named {name!r}; there are {list(form.names)}",
                path=source,
                remedy=f"Check the names of the columns{hint}.",
            )
    return {form.names.index(name): kind for name, kind in kinds.items()}


def _lines(file: BinaryIO, source: Source) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not blank."""
    for number, line in enumerate(iter(lambda: file.readline(_BLOCK_BYTES), b""), start=1):
        _refuse_binary(line, source, number)
        try:
            text = line.removeprefix(_BOM).decode().strip("\r\n")
        except UnicodeDecodeError:
            raise not_utf8(source, number) from None
        if "\r" in text:
            raise InputError(
                "lines end in a carriage return alone",
                path=source,
                line=number,
                remedy="Convert them, for example: tr '\\r' '\\n' < OLD > NEW.",
            )
        if text:
            yield number, text


def _refuse_binary(text: bytes, source: Source, line: int) -> None:
    """Raises InputError if there is a NUL, which no text has except in UTF-16 or UTF-32."""
    if (position := text.find(0)) >= 0:
        raise not_utf8(source, line + text.count(b"\n", 0, position))


def _blocks(file: BinaryIO, source: Source, form: Format, line: int) -> Iterator[tuple[int, bytes]]:
    """Cuts the rest of a file into blocks of whole records, each with the number of its first line."""
    rest = b""
    while data := file.read(_BLOCK_BYTES):
        _refuse_binary(data, source, line + rest.count(b"\n"))
        if line == 1 and not rest:
            data = data.removeprefix(_BOM)
        rest += data
        if end := _end_of_records(rest, form):
            yield line, rest[:end]
            line, rest = line + rest.count(b"\n", 0, end), rest[end:]
        elif len(rest) > _MAX_RECORD_BYTES:
            raise InputError(
                f"a record of more than {_MAX_RECORD_BYTES >> 20} MiB",
                path=source,
                line=line,
                remedy="Check that this is a text file, and that every quoted value has its closing quote.",
            )
    if rest:
        yield line, rest


def _end_of_records(text: bytes, form: Format) -> int:
    """Where the last record of `text` ends that is not inside quotes; 0 if there is none."""
    end = text.rfind(b"\n") + 1
    inside = form.quoted and text.count(b'"', 0, end) % 2
    while inside:
        earlier = text.rfind(b"\n", 0, text.rfind(b'"', 0, end)) + 1
        inside ^= text.count(b'"', earlier, end) % 2
        end = earlier
    return end


@dataclass(frozen=True)
class _Parser:
    source: Source
    form: Format
    kinds: Mapping[int, Kind]
    """Position of a column -> what it must hold."""

    def parse(self, line: int, block: bytes) -> pa.Table:
        """The wanted columns of a block, named by their positions.

        Raises:
          InputError: a record is bad; `line` is the number of the block's first line.
        """
        try:
            table = self._parse(block, self.kinds)
        except pa.ArrowInvalid as error:
            raise self._diagnosis(line, block, error) from None
        if self.form.quoted and block.count(b'"') % 2 and self._swallows_what_follows(block):
            raise InputError(
                "a quoted value has no closing quote",
                path=self.source,
                line=line + block.count(b"\n", 0, block.rfind(b'"')),
                remedy="Close the quote; a quote inside a quoted value is written twice.",
            )
        return table

    def _parse(self, block: bytes, kinds: Mapping[int, Kind]) -> pa.Table:
        """`parse`, raising pa.ArrowInvalid."""
        names = [str(position) for position in range(len(self.form.names))]
        table = pyarrow.csv.read_csv(
            pa.BufferReader(block),
            read_options=pyarrow.csv.ReadOptions(column_names=names),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=self.form.delimiter,
                quote_char='"' if self.form.quoted else False,
                newlines_in_values=self.form.quoted and b'"' in block,  # it costs half the speed
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={str(position): kind.arrow for position, kind in kinds.items()},
                include_columns=[str(position) for position in kinds],
                null_values=[""],
            ),
        )
        for position, kind in kinds.items():
            if not kind.valid(table[str(position)]):
                raise pa.ArrowInvalid(f"a value of column {self.form.names[position]!r} is not {kind.says}")
        return table

    def _accepts(self, block: bytes, kinds: Mapping[int, Kind]) -> bool:
        try:
            self._parse(block, kinds)
        except pa.ArrowInvalid:
            return False
        return True

    def _swallows_what_follows(self, block: bytes) -> bool:
        """Whether a line added to the block would end up inside the block's last value."""
        kinds = {0: _ANYTHING}
        added = b"\n" + self.form.delimiter.encode() * (len(self.form.names) - 1) + b'""'
        return self._parse(block + added, kinds).num_rows == self._parse(block, kinds).num_rows

    def _diagnosis(self, line: int, block: bytes, error: pa.ArrowInvalid) -> InputError:
        """The error for the first bad record of a block that was refused with `error`."""
        ends = self._record_ends(block)
        good, bad = 0, len(ends) - 1  # records before ends[good] are fine; one before ends[bad] is not
        while bad - good > 1:
            middle = (good + bad) // 2
            if self._accepts(block[ends[good] : ends[middle]], self.kinds):
                good = middle
            else:
                bad = middle
        record = block[ends[good] : ends[bad]]
        line += block.count(b"\n", 0, ends[good])
        texts = {position: TEXT for position, kind in self.kinds.items() if kind.arrow == _WORDS}
        if self._accepts(record, dict.fromkeys(texts, _ANYTHING)) and not self._accepts(record, texts):
            return not_utf8(self.source, line)
        return InputError(
            self._what_is_wrong(record, error),
            path=self.source,
            line=line,
            remedy="Correct or remove the line, or check that this is the right file.",
        )

    def _record_ends(self, block: bytes) -> np.ndarray:
        """Offsets at which a record of the block ends, with 0 in front."""
        text = np.frombuffer(block, np.uint8)
        ends = np.flatnonzero(text == ord("\n")) + 1
        if self.form.quoted:
            quotes_before = np.searchsorted(np.flatnonzero(text == ord('"')), ends)
            ends = ends[quotes_before % 2 == 0]
        return np.unique(np.concatenate([[0], ends, [len(block)]]))

    def _what_is_wrong(self, record: bytes, error: pa.ArrowInvalid) -> str:
        try:
            values = self.form.split(record.decode(errors="replace").strip("\r\n"))
        except csv.Error:
            return _shorten(str(error))
        if len(values) != len(self.form.names):
            found, wanted = (self.form.delimiter.join(columns) for columns in (values, self.form.names))
            return f"{_shorten(found)} has not the columns {_shorten(wanted)}"
        for position, kind in self.kinds.items():
            if not self._accepts(record, {position: kind}):
                where = self.form.names[position] or "the place between two delimiters:"
                return f"{where} {_shorten(values[position])} is not {kind.says}"
        return _shorten(str(error))


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
