"""Pieces of a source: what one task reads, a block of rows at a time. Pieces are small, and travel to the workers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.config import DataConfig
from pipelines.ingest.results import Result
from pipelines.ingest.tokens import Tokens
from pipelines.interactions import Ratings
from pipelines.paths import AnyPath, as_path
from pipelines.raw_ids import is_text, take
from pipelines.readers import delimited, parquet
from pipelines.readers.columns import wanted_columns
from pipelines.readers.delimited import Format
from pipelines.readers.files import Source
from pipelines.readers.kinds import DATE, RATING, SECONDS, TEXT, ZONED_DATE, Kind
from pipelines.readers.table import seconds_of
from pipelines.readers.typed import convert, tokens

DATES = {kind.says: kind for kind in (DATE, ZONED_DATE)}


@dataclass(frozen=True)
class Block:
    """Rows, [n] of each: as `pipelines.interactions.Ratings`, of which it is not known yet what their ids are."""

    users: Tokens
    items: Tokens
    ratings: np.ndarray | None = None
    timestamps: np.ndarray | None = None
    titles: pa.DictionaryArray | None = None
    """Of the rows' items."""
    headers: int = 0
    """Rows that were left out since they repeat the header."""

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True)
class Columns:
    """The columns of a table that are read: their names, "" for one that there is not."""

    user: str
    item: str
    rating: str = ""
    timestamp: str = ""
    title: str = ""

    @classmethod
    def of(cls, config: DataConfig) -> "Columns":
        names = ("user", "item", "rating", "timestamp", "title")
        return cls(**{name: getattr(config, f"{name}_column") for name in names})


@dataclass(frozen=True)
class TextPiece:
    """Files of delimited text."""

    sources: tuple[Source, ...]
    form: Format
    columns: Columns
    kinds: tuple[tuple[str, str], ...]
    """Column -> the name in `pipelines.readers.kinds` of what it must hold."""
    textual = True

    def blocks(self) -> Iterator[Block]:
        """Raises InputError where a file cannot be read, or a line is bad."""
        from pipelines.readers import kinds as all_kinds

        kinds: Mapping[str, Kind] = {column: getattr(all_kinds, kind) for column, kind in self.kinds}
        for source in self.sources:
            for table in delimited.tables(source, self.form, kinds):
                table, headers = delimited.without_headers(table, kinds)
                yield self._block(table, kinds, headers)

    def _block(self, table: pa.Table, kinds: Mapping[str, Kind], headers: int) -> Block:
        def words(name: str) -> pa.DictionaryArray:
            return table[name].unify_dictionaries().combine_chunks()

        of = self.columns
        times = table[of.timestamp].to_numpy() if of.timestamp else None
        user, item = kinds[of.user], kinds[of.item]
        return Block(
            Tokens.of(words(of.user) if user.arrow == TEXT.arrow else table[of.user].to_numpy()),
            Tokens.of(words(of.item) if item.arrow == TEXT.arrow else table[of.item].to_numpy()),
            table[of.rating].to_numpy() if of.rating else None,
            seconds_of(times) if of.timestamp and kinds[of.timestamp] is not SECONDS else times,
            words(of.title) if of.title else None,
            headers,
        )


@dataclass(frozen=True)
class ParquetPiece:
    """Groups of rows of a Parquet file."""

    source: Source
    groups: tuple[int, ...]
    first_row: int
    """The number of its first row in all of the data, from 0."""
    config: DataConfig
    schema: pa.Schema
    """The types that the columns have in all parts together."""
    whole: str
    """What error messages call the table."""

    @property
    def textual(self) -> bool:
        columns = (self.config.user_column, self.config.item_column)
        return not all(pa.types.is_integer(self.schema.field(name).type) for name in columns)

    def blocks(self) -> Iterator[Block]:
        """Raises InputError where the file is damaged, or a value is missing or not of its kind."""
        config, kinds = self.config, wanted_columns(self.config)
        table = parquet.read_groups(self.source, kinds, self.groups)
        table = pa.concat_tables([self.schema.empty_table(), table], promote_options="permissive")
        at = self.whole, self.first_row
        users, items = (tokens(table[name], name, *at) for name in (config.user_column, config.item_column))
        others = {
            kind: convert(table[name], kind, name, *at)
            for name, kind in kinds.items()
            if kind in (RATING, SECONDS, TEXT)
        }
        yield Block(Tokens.of(users), Tokens.of(items), others.get(RATING), others.get(SECONDS), others.get(TEXT))


@dataclass(frozen=True)
class RatingsPiece:
    """Rows that a reader read, in a file of their own."""

    path: str
    textual: bool

    @classmethod
    def write(cls, ratings: Ratings, rows: slice, path: AnyPath) -> "RatingsPiece":
        """Writes some rows; raises StorageError where that cannot be done."""
        arrays = {}
        for name, ids in (("users", ratings.users), ("items", ratings.items)):
            codes, different = Tokens.of_ids(take(ids, rows)[:]).factorize()
            arrays |= {f"{name}_codes": codes} | different.pack(name)
        for name in ("ratings", "timestamps"):
            if (values := getattr(ratings, name)) is not None:
                arrays[name] = values[rows]
        Result({}, arrays).write(path)
        return cls(str(path), is_text(ratings.users) or is_text(ratings.items))

    def blocks(self) -> Iterator[Block]:
        """One block."""
        arrays = Result.read(as_path(self.path)).arrays
        users, items = (Tokens.unpack(name, arrays).take(arrays[f"{name}_codes"]) for name in ("users", "items"))
        yield Block(users, items, arrays.get("ratings"), arrays.get("timestamps"))


Piece = TextPiece | ParquetPiece | RatingsPiece
