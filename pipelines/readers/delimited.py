"""Reads typed columns from delimited text at C speed, and says which line is bad when one is.

The text is cut into blocks of whole lines, and `pyarrow.csv` parses each, so memory holds one block of text and the
columns asked for. When a block is refused, pyarrow says which record it was. What pyarrow does not see stays here: in
which line a record stands, a quote that is never closed (all that follows would be one value), and UTF-16.

Lines end in a line feed, a carriage return or both, whatever the others end in, as for Python's `csv` and pandas.
"""

import csv
import io
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pipelines.errors import InputError
from pipelines.notices import notices
from pipelines.raw_ids import Ids
from pipelines.readers.files import MAX_RECORD_BYTES, Source, not_utf8
from pipelines.readers.ids import decode_ids
from pipelines.readers.kinds import INTEGER_ID, TEXT, WORDS, Kind
from pipelines.readers.usual_columns import listed

_BLOCK_BYTES = 16 << 20
_MAX_RECORD_BYTES = MAX_RECORD_BYTES
_MAX_PEEKED_BYTES = 1 << 20
"""Of a line among the first ones, which name the columns and show what they hold."""
_ROW, _COLUMN = re.compile(r"Row #(\d+)"), re.compile(r"In CSV column #(\d+)")
_FIELD_SIZE_LOCK = threading.Lock()
_BOM = b"\xef\xbb\xbf"


_NOTHING = Kind("empty", pa.null(), lambda column: -1)
_ANYTHING = Kind("anything", pa.binary(), lambda column: -1)


@dataclass(frozen=True)
class Format:
    """How a file separates its columns."""

    delimiter: str
    names: tuple[str, ...] | None = None
    """The columns; one without a name must be empty (between the colons of `1::2`). None: the first line has them."""
    quoted: bool = False
    """Whether values may stand in double quotes, with delimiters and line ends inside."""

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """The values of each record, by Python's own parser."""
        quoting = csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE
        return csv.reader(lines, delimiter=self.delimiter, quoting=quoting)


def peek(source: Source, form: Format, count: int) -> list[list[str]]:
    """The values of the first `count` records that are not blank (fewer if the file has fewer).

    Raises:
      InputError: the file cannot be read or is not UTF-8 text.
    """
    return [record.values for record in _head(source, form, count)]


def read_columns(source: Source, form: Format, kinds: Mapping[str, Kind]) -> dict[str, Ids | pa.DictionaryArray]:
    """Reads the columns that `kinds` names; others are skipped unread.

    Returns:
      Column name -> its values in the order of the file: INTEGER_ID int64, TOKEN int64 or text (see
      `pipelines.readers.ids`), RATING float32, SECONDS float64, dates datetime64[ns], TEXT a dictionary array.

    Raises:
      InputError: the file cannot be read, has no rows, lacks a column or holds a value that is not of its kind.
    """
    return read_parts([source], form, kinds)


def read_parts(
    sources: Sequence[Source], form: Format, kinds: Mapping[str, Kind]
) -> dict[str, Ids | pa.DictionaryArray]:
    """`read_columns` of a table that is spread over several files, one after the other."""
    blocks = [table for source in sources for table in tables(source, form, kinds)]
    if not sum(table.num_rows for table in blocks):
        raise no_rows(sources[0])
    table, again = without_headers(pa.concat_tables(blocks), kinds)
    del blocks
    tell_headers(again, sources[0])
    columns = {}
    for name, kind in kinds.items():
        if kind.arrow == WORDS:
            words = table[name].unify_dictionaries().combine_chunks()
            columns[name] = words if kind is TEXT else _ids(words, name, sources, form)
        else:
            columns[name] = table[name].to_numpy()
    return columns


def tables(source: Source, form: Format, kinds: Mapping[str, Kind]) -> Iterator[pa.Table]:
    """The columns that `kinds` names, a block of the file at a time: each of its kind's Arrow type.

    Raises:
      InputError: as `read_columns`, but for a file without rows.
    """
    unnamed, header = [position for position, name in enumerate(form.names or ()) if not name], _Record(0, 0, [])
    if form.names is None:
        header = next(iter(_head(source, form, 1)), header)
        form = replace(form, names=tuple(header.values))
    with source.open() as file:
        file.read(header.bytes)
        positions = _positions(source, form, kinds)
        parser = _Parser(source, form, positions | dict.fromkeys(unnamed, _NOTHING))
        blank = 0
        for line, block in _blocks(file, source, form, header.lines + 1):
            table = parser.parse(line, block)
            if not form.quoted or b'"' not in block:  # else a value may have lines of its own
                blank += _line_ends(block) + (not block.endswith((b"\n", b"\r"))) - table.num_rows
            yield table.select(list(map(str, positions))).rename_columns(list(kinds))
        if blank:
            notices.info(f"{source}: {blank:,} blank line(s) are passed over.")


def no_rows(source: Source) -> InputError:
    """The error for a table without rows."""
    return InputError("empty: there are no rows", path=source, remedy="Check that the file was copied whole.")


def without_headers(table: pa.Table, kinds: Mapping[str, Kind]) -> tuple[pa.Table, int]:
    """Without rows that say the names of the columns once more, as files do that were put together; and their number.

    Where a column holds numbers, such a row is an error of its own.
    """
    if any(kind.arrow != WORDS for kind in kinds.values()):
        return table, 0
    again = np.ones(table.num_rows, bool)
    for name in kinds:
        if all(pc.index(chunk.dictionary, name).as_py() < 0 for chunk in table[name].chunks):  # for speed
            return table, 0
        again &= pc.equal(table[name].cast(pa.string()), name).to_numpy()
    return table.filter(~again), int(np.count_nonzero(again))


def tell_headers(count: int, source: Source) -> None:
    """Gives notice of so many rows that repeat the header, if there are any."""
    if count:
        notices.warning(f"{source}: {count:,} row(s) that repeat the header are left out.")


def _ids(words: pa.DictionaryArray, name: str, sources: Sequence[Source], form: Format) -> Ids:
    """`decode_ids`, with its error about a row replaced by one about a line where the parser sees it so."""
    try:
        return decode_ids(words, name, sources[0])
    except InputError:
        find_no_number(sources, form, name)
        raise


def find_no_number(sources: Sequence[Source], form: Format, name: str) -> None:
    """Raises InputError about the first line in which a column of ids that are numbers has none, if there is one."""
    for source in sources:
        for _ in tables(source, form, {name: INTEGER_ID}):
            pass


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
                f"{'no column' if not count else f'{count} columns'} named {name!r}; there are {listed(form.names)}",
                path=source,
                remedy=f"Check the names of the columns{hint}.",
            )
    return {form.names.index(name): kind for name, kind in kinds.items()}


@dataclass(frozen=True)
class _Record:
    """One of the first records of a file."""

    lines: int
    """How many lines there are up to its end."""
    bytes: int
    """Likewise."""
    values: list[str]


def _head(source: Source, form: Format, count: int) -> list[_Record]:
    """The first records that are not blank, by Python's parser: it needs no size of a block."""
    with source.open() as file, _values_up_to(_MAX_PEEKED_BYTES):
        return list(islice(_records(file, source, form), count))


@contextmanager
def _values_up_to(size: int) -> Iterator[None]:
    """Has Python's parser take values of so many characters; unasked it takes 128 kB."""
    with _FIELD_SIZE_LOCK:
        former = csv.field_size_limit(size)
        try:
            yield
        finally:
            csv.field_size_limit(former)


def _records(file: BinaryIO, source: Source, form: Format) -> Iterator[_Record]:
    lines = size = 0

    def texts() -> Iterator[str]:
        nonlocal lines, size
        for text in iter(lambda: content.readline(_MAX_PEEKED_BYTES), ""):  # in which a character is a byte
            line = text.encode("latin-1")
            lines, size = lines + 1, size + len(line)
            _refuse_binary(line, source, lines)
            if len(line) == _MAX_PEEKED_BYTES:
                raise _too_long(_MAX_PEEKED_BYTES, source, lines)
            try:
                yield (line.removeprefix(_BOM) if lines == 1 else line).decode()
            except UnicodeDecodeError:
                raise not_utf8(source, lines) from None

    content = io.TextIOWrapper(file, "latin-1", newline="")
    try:
        for values in form.reader(texts()):
            if values:
                yield _Record(lines, size, values)
    except csv.Error as error:
        raise _no_value(error, source, lines) from None
    finally:
        content.detach()


def _no_value(error: csv.Error, source: Source, line: int) -> InputError:
    remedy = "Check that every quoted value has its closing quote."
    return InputError(f"a value that is too long ({error})", path=source, line=line, remedy=remedy)


def _too_long(limit: int, source: Source, line: int) -> InputError:
    return InputError(
        f"a record of more than {limit >> 20} MiB",
        path=source,
        line=line,
        remedy="Check that this is a text file, and that every quoted value has its closing quote.",
    )


def _refuse_binary(text: bytes, source: Source, line: int) -> None:
    """Raises InputError if there is a NUL, which no text has except in UTF-16 or UTF-32."""
    if (position := text.find(0)) >= 0:
        raise not_utf8(source, line + _line_ends(text, position))


def _blocks(file: BinaryIO, source: Source, form: Format, line: int) -> Iterator[tuple[int, bytes]]:
    """Cuts the rest of a file into blocks of whole records, each with the number of its first line."""
    rest = b""
    while data := file.read(_BLOCK_BYTES):
        _refuse_binary(data, source, line + _line_ends(rest))
        if line == 1 and not rest:
            data = data.removeprefix(_BOM)
        rest += data
        if end := _end_of_records(rest, form):
            yield line, rest[:end]
            line, rest = line + _line_ends(rest, end), rest[end:]
        elif len(rest) > _MAX_RECORD_BYTES:
            raise _too_long(_MAX_RECORD_BYTES, source, line)
    if rest:
        yield line, rest


def _end_of_records(text: bytes, form: Format) -> int:
    """Where the last record of `text` ends that is not inside quotes; 0 if there is none."""
    end = text.rfind(b"\n") + 1
    line_feed = b"\n" if end else b"\r"
    end = end or text.rfind(b"\r", 0, -1) + 1  # the last byte may be the first half of an end of line
    if form.quoted and text.count(b'"', 0, end) % 2:
        characters = np.frombuffer(text, np.uint8, end)
        ends = np.flatnonzero(characters == ord(line_feed))
        outside = np.searchsorted(np.flatnonzero(characters == ord('"')), ends) % 2 == 0
        return int(ends[outside].max(initial=-1)) + 1
    return end


def _line_ends(text: bytes, end: int | None = None) -> int:
    """How many lines end in a text, or in the beginning of it."""
    returns = text.count(b"\r", 0, end)
    return text.count(b"\n", 0, end) + (returns - text.count(b"\r\n", 0, end) if returns else 0)


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
            good = all(kind.first_bad(table[str(position)]) < 0 for position, kind in self.kinds.items())
        except pa.ArrowInvalid:
            good = False
        if not good:
            raise self._diagnosis(line, block)
        if self.form.quoted and block.count(b'"') % 2 and self._swallows_what_follows(block):
            raise InputError(
                "a quoted value has no closing quote",
                path=self.source,
                line=line + _line_ends(block, block.rfind(b'"')),
                remedy="Close the quote; a quote inside a quoted value is written twice.",
            )
        return table

    def _parse(self, block: bytes, kinds: Mapping[int, Kind], *, numbered: bool = False) -> pa.Table:
        """The columns of a block, raising pa.ArrowInvalid, which tells the row if they are numbered: that is slower."""
        names = [str(position) for position in range(len(self.form.names))]
        return pyarrow.csv.read_csv(
            pa.BufferReader(block),
            read_options=pyarrow.csv.ReadOptions(
                column_names=names,
                use_threads=not numbered,
                block_size=len(block) + 1 if numbered else None,
            ),
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

    def _swallows_what_follows(self, block: bytes) -> bool:
        """Whether a line added to the block would end up inside the block's last value."""
        kinds = {0: _ANYTHING}
        added = b"\n" + self.form.delimiter.encode() * (len(self.form.names) - 1) + b'""'
        return self._parse(block + added, kinds).num_rows == self._parse(block, kinds).num_rows

    def _diagnosis(self, line: int, block: bytes) -> InputError:
        """The error for the first bad record of a block that was refused.

        pyarrow names the first one of a wrong number of columns, then the first one of the first bad column, and so on:
        what comes before it is asked about again.
        """
        end = len(block)
        while end and (found := self._refused(block[:end])):
            row, position, is_text = found
            end, values = self._record(line, block, row)
        line += _line_ends(block, end)
        if not is_text:
            return not_utf8(self.source, line)
        if position is None:
            found, wanted = (self.form.delimiter.join(columns) for columns in (values, self.form.names))
            problem = f"{_shorten(found)} has not the columns {_shorten(wanted)}"
        else:
            where = self.form.names[position] or "the place between two delimiters:"
            problem = f"{where} {_shorten(values[position])} is not {self.kinds[position].says}"
        remedy = "Correct or remove the line, or check that this is the right file."
        return InputError(problem, path=self.source, line=line, remedy=remedy)

    def _refused(self, block: bytes) -> tuple[int, int | None, bool] | None:
        """A record that is bad, if there is one.

        Returns:
          Its number from 1, blank lines not counted; the position of the bad column, None where columns are missing or
          too many; and whether its text is UTF-8.
        """
        try:
            table = self._parse(block, self.kinds, numbered=True)
        except pa.ArrowInvalid as error:  # an invalid_row_handler would be told the number, but fails where not UTF-8
            message = str(error)
            row, position = _ROW.search(message), _COLUMN.match(message)
            if row is None:  # the beginning of an order mark, and no more
                return 1, None, False
            return int(row[1]), int(position[1]) if position else None, "UTF8" not in message
        bad = [(kind.first_bad(table[str(position)]) + 1, position, True) for position, kind in self.kinds.items()]
        return min((each for each in bad if each[0]), default=None)

    def _record(self, line: int, block: bytes, row: int) -> tuple[int, list[str]]:
        """Where in a block record number `row` begins, and its values.

        pyarrow does not say: it counts records, and neither lines that are blank nor those within quotes.
        """
        start = end = 0

        def lines() -> Iterator[str]:
            nonlocal end
            for text in io.StringIO(block.decode("latin-1"), newline=""):  # in which a character is a byte
                end += len(text)
                yield text

        try:
            with _values_up_to(_MAX_RECORD_BYTES):
                for values in self.form.reader(lines()):
                    row -= bool(values)
                    if not row:
                        break
                    start = end
        except csv.Error as error:
            raise _no_value(error, self.source, line + _line_ends(block, start)) from None
        return start, [value.encode("latin-1").decode(errors="replace") for value in values]


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
