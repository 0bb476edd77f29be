"""What is cut into pieces: tables, by files and groups of rows; other sources are read by their reader in one go."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from pipelines.config import DataConfig
from pipelines.ingest.job import Job, file_name
from pipelines.ingest.pieces import Columns, ParquetPiece, Piece, RatingsPiece, TextPiece
from pipelines.interactions import Ratings
from pipelines.paths import AnyPath
from pipelines.raw_ids import is_text
from pipelines.readers import delimited, kinds, parquet, table
from pipelines.readers.columns import wanted_columns
from pipelines.readers.delimited import Format
from pipelines.readers.files import Source, require_given
from pipelines.readers.ids import bad_id

ROWS_A_BUCKET = 1 << 21
"""What a worker holds at once, and sorts: about half a gigabyte."""
_ROWS_A_PIECE = 1 << 22
_BYTES_A_PIECE = 64 << 20
_BYTES_A_ROW = 24
"""Of text: less than most rows have."""
_UNPACKED = 4
"""Times as much as a gzip file has bytes."""


@dataclass(frozen=True)
class Origin:
    """A source that is cut into pieces."""

    pieces: Sequence[Piece]
    source: str
    """`Ratings.source`."""
    rows: int
    """About how many there are."""
    columns: Columns
    first: str
    """What messages about ids name."""
    refuse_number: Callable[[str, int, int, str], None]
    """Raises the InputError about a column of which all ids are numbers: of the piece of this number the row, from 0,
    and the text that is none."""
    no_rows: Callable[[], Exception]
    titles: Mapping = field(default_factory=dict)
    """Raw item id -> title, where they are not in the pieces."""
    text: tuple[bool, bool] | None = None
    """Whether ids of users, and of items, are text, where the reader decided it; None: all of the column decides."""

    @property
    def num_buckets(self) -> int:
        return max(1, min(math.ceil(self.rows / ROWS_A_BUCKET), 1024))


def of_table(path: AnyPath | None, config: DataConfig) -> Origin:
    """A table: text by files, Parquet by groups of rows.

    Raises:
      InputError: as `pipelines.readers.table.read`, as far as it can be told without reading rows.
    """
    require_given(path, "a .csv, .tsv or .parquet file, or a folder of such parts")
    wanted, sources = wanted_columns(config), [Source(part) for part in table.parts(path)]
    suffix = table.suffix_of(sources[0].path)
    if suffix == ".parquet":
        return _of_parquet(sources, config, path)
    form = Format(table.DELIMITERS[suffix], quoted=True)
    sources, time_kind = table.with_content(sources, form, config.timestamp_column)
    named = {id(kind): name for name, kind in vars(kinds).items() if isinstance(kind, kinds.Kind)}
    told = wanted | ({config.timestamp_column: time_kind} if config.timestamp_column else {})
    names = tuple((column, named[id(kind)]) for column, kind in told.items())
    sizes = [_size(source) for source in sources]
    pieces = [TextPiece(group, form, Columns.of(config), names) for group in _grouped(sources, sizes, _BYTES_A_PIECE)]

    def refuse_number(column: str, _piece: int, row: int, text: str) -> None:
        delimited.find_no_number(sources, form, column)
        raise bad_id(int(text), column, row, sources[0])

    return Origin(
        pieces,
        str(path),
        sum(sizes) // _BYTES_A_ROW,
        Columns.of(config),
        str(sources[0]),
        refuse_number,
        lambda: delimited.no_rows(sources[0]),
    )


def _size(source: Source) -> int:
    """Bytes of text, about; of a file in a store it is not asked."""
    if not isinstance(source.path, Path):
        return _BYTES_A_PIECE
    return source.path.stat().st_size * (_UNPACKED if source.path.suffix == ".gz" else 1)


def _grouped(things: Sequence, sizes: Sequence[int], most: int) -> list[tuple]:
    """Consecutive things in groups, each of at most so much unless one thing alone has more."""
    groups, left = [], 0
    for thing, size in zip(things, sizes, strict=True):
        if not groups or size > left:
            groups.append([])
            left = most
        groups[-1].append(thing)
        left -= size
    return [tuple(group) for group in groups]


def _of_parquet(sources: Sequence[Source], config: DataConfig, path: AnyPath) -> Origin:
    layouts = [parquet.layout(source, wanted_columns(config)) for source in sources]
    try:
        schema = pa.unify_schemas([schema for schema, _ in layouts], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise parquet.differ(error, path) from None
    pieces, first = [], 0
    for source, (_, rows) in zip(sources, layouts, strict=True):
        for groups in _grouped(range(len(rows)), rows, _ROWS_A_PIECE):
            pieces.append(ParquetPiece(source, groups, first, config, schema, str(path)))
            first += sum(rows[group] for group in groups)
    if not first:
        raise parquet.no_rows(path)

    def refuse_number(column: str, piece: int, row: int, text: str) -> None:
        raise bad_id(int(text), column, pieces[piece].first_row + row, path)

    no_rows = lambda: parquet.no_rows(path)  # noqa: E731
    return Origin(pieces, str(path), first, Columns.of(config), str(path), refuse_number, no_rows)


def of_ratings(ratings: Ratings, job: Job) -> Origin:
    """What a reader read in one go, written into files of the folder of work."""
    pieces = []
    for number, start in enumerate(range(0, len(ratings.users), _ROWS_A_PIECE)):
        path = job.path("source", file_name(number))
        rows = slice(start, start + _ROWS_A_PIECE)
        pieces.append(RatingsPiece.write(ratings, rows, path))

    def never(*_: object) -> None:
        raise AssertionError("a reader returns ids that are numbers, or text")

    return Origin(
        pieces,
        ratings.source,
        len(ratings.users),
        Columns("", ""),
        ratings.source,
        never,
        never,
        ratings.titles,
        text=(is_text(ratings.users), is_text(ratings.items)),
    )
