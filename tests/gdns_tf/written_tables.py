"""Tables of clicks for Hypothesis, and every kind of file that they may be written into.

Files are written by others than their readers: Python's csv, gzip and zipfile, pandas, polars, pyarrow and NumPy.
"""

import csv
import io
import itertools
import pickle
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from hypothesis import strategies as st

from pipelines.config import DataConfig

COLUMNS = ("user_id", "item_id", "rating", "timestamp", "title")
_NUMBERS = st.one_of(st.integers(0, 30), st.sampled_from([2**31, 2**53 + 1, 2**63 - 1]))
_ODD_WORDS = (
    "nan",
    "NA",
    "null",
    "None",
    "",
    "-",
    "-5",
    "007",
    "1.0",
    "1e3",
    "true",
    " x",
    "x ",
    "٣",
    "İ",
    "\U0001f600",
)
_LINES = "\n\r"


@dataclass(frozen=True)
class Table:
    """Rows as a reader must give them back."""

    users: list
    items: list
    ratings: list | None = None
    times: list | None = None
    """Seconds, as numbers, or dates."""
    titles: list | None = None
    """Of each row's item."""

    @property
    def columns(self) -> dict[str, list]:
        values = (self.users, self.items, self.ratings, self.times, self.titles)
        return {name: column for name, column in zip(COLUMNS, values, strict=True) if column is not None}

    def found_in(self, ratings: object) -> None:
        """Asserts that what a reader returned is this table."""
        assert ratings.users.tolist() == self.users
        assert ratings.items.tolist() == self.items
        for expected, found in ((self.ratings, ratings.ratings), (self.times, ratings.timestamps)):
            assert (found is None) == (expected is None)
            if expected is not None:
                seconds = [value.timestamp() if isinstance(value, datetime) else value for value in expected]
                np.testing.assert_allclose(found, np.array(seconds, found.dtype), rtol=1e-15, atol=1e-5)
        if self.titles is not None:
            first: dict = {}
            for item, title in zip(self.items, self.titles, strict=True):
                first[item] = first.get(item) or title
            assert ratings.titles == {item: title for item, title in first.items() if title}


def words(without: str = "") -> st.SearchStrategy[str]:
    """Text that an id or a title may be, without some characters."""
    letters = st.characters(codec="utf-8", exclude_characters="\0" + without)
    odd = [word for word in _ODD_WORDS if not set(word) & set(without)]
    return st.one_of(st.text(letters, min_size=1, max_size=6), st.sampled_from(odd))


def _ids(count: int, without: str) -> st.SearchStrategy[list]:
    """A column of integers, or of texts of which one at least is no integer."""
    texts = st.lists(words(without).filter(lambda word: word and word not in COLUMNS), min_size=count, max_size=count)
    text = texts.filter(lambda ids: not all(re.fullmatch("0|-?[1-9][0-9]*", each) for each in ids))
    return st.one_of(st.lists(_NUMBERS, min_size=count, max_size=count), text)


@st.composite
def tables(
    draw: Callable, *, without: str = "", integers: bool = False, optional: bool = True, dates: bool = False
) -> Table:
    """Tables of a few rows.

    Args:
      draw: Hypothesis's.
      without: characters that no text has.
      integers: whether all ids are numbers.
      optional: whether ratings, times and titles may be missing.
      dates: whether times may be dates.
    """
    count = draw(st.integers(1, 12))

    def column(values: st.SearchStrategy) -> st.SearchStrategy:
        return st.lists(values, min_size=count, max_size=count)

    numbers = column(_NUMBERS)
    grades = column(st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False))
    seconds = column(st.one_of(st.integers(-(10**10), 10**10), st.floats(-1e12, 1e12, allow_subnormal=False)))
    moments = column(st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
    maybe = (lambda values: st.one_of(st.none(), values)) if optional else (lambda values: values)
    users, items = (draw(numbers if integers else _ids(count, without)) for _ in range(2))
    titles = draw(maybe(column(words(without)))) if optional else None
    times = draw(maybe(st.one_of(seconds, moments) if dates else seconds))
    return Table(users, items, draw(maybe(grades)), times, titles)


def config_of(table: Table, **settings: object) -> DataConfig:
    """The settings that name the table's columns."""
    named = {f"{name.removesuffix('_id')}_column": name for name in table.columns}
    return DataConfig(dataset="table", **named, **settings)


def in_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


@st.composite
def delimited(
    draw: Callable, delimiter: str, quoted: bool = True, names: list[str] | None = None, parts: int = 1
) -> tuple[Table, list[bytes]]:
    """A table and the bytes of CSV or TSV files of it, with other columns, blank lines and any end of line."""
    ends = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    without = ("\r" if ends != "\n" else "") if quoted else delimiter + _LINES + '"'
    table = draw(tables(without=without, dates=quoted))
    header = names or list(table.columns)
    if names:
        table = replace(table, titles=None)
        header = [name for name in names if name.partition(":")[0] in table.columns]
    more = draw(st.lists(words(without), max_size=2))
    rows = [[in_text(v) for v in row] + more for row in zip(*table.columns.values(), strict=True)]
    header += [f"more{n}" for n in range(len(more))]
    order = draw(st.permutations(range(len(header))))
    quoting = (csv.QUOTE_ALL if draw(st.booleans()) else csv.QUOTE_NONNUMERIC) if quoted else csv.QUOTE_NONE
    cuts = [0, *sorted(draw(st.integers(0, len(rows))) for _ in range(parts - 1)), len(rows)]
    contents = []
    for start, end in itertools.pairwise(cuts):
        text = io.StringIO()
        writer = csv.writer(text, delimiter=delimiter, lineterminator=ends, quoting=quoting)
        for row in [header, *rows[start:end]]:
            writer.writerow([row[place] for place in order])
            if draw(st.integers(0, 9)) == 0:
                text.write(ends)
        content = text.getvalue().encode()
        content = content.removesuffix(ends.encode()) if draw(st.booleans()) else content
        contents.append(draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + content)
    return table, contents


@st.composite
def adjacency(draw: Callable) -> tuple[Table, bytes]:
    """A table and the adjacency text of it."""
    users = draw(st.lists(_NUMBERS, min_size=1, max_size=8, unique=True))
    rows = [(user, draw(st.lists(_NUMBERS, min_size=1, max_size=9, unique=True))) for user in users]
    space, ends = draw(st.sampled_from([" ", "\t", "  "])), draw(st.sampled_from(["\n", "\r\n", "\r", " \n\n"]))
    text = "".join(space.join(map(str, [user, *items])) + ends for user, items in rows)
    pairs = [(user, item) for user, items in rows for item in items]
    return Table([user for user, _ in pairs], [item for _, item in pairs]), text.encode()


@st.composite
def movielens(draw: Callable) -> tuple[Table, bytes]:
    """A table and the bytes of its `ratings.dat`."""
    table = replace(draw(tables(integers=True, optional=False)), titles=None)
    ends = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    rows = zip(*table.columns.values(), strict=True)
    return table, "".join("::".join(map(in_text, row)) + ends for row in rows).encode()


@st.composite
def frames(draw: Callable) -> tuple[Table, pa.Table]:
    """A table and an Arrow table of it, of any types that hold it."""
    table = draw(tables(dates=True))
    arrays = {}
    for name, values in table.columns.items():
        array = pa.array(values)
        if name in ("user_id", "item_id", "title"):
            if pa.types.is_int64(array.type):
                fits = [
                    kind for kind in (pa.int8(), pa.int32(), pa.uint64()) if max(values) < 2 ** (kind.bit_width - 1)
                ]
            else:
                fits = [pa.large_string(), pa.dictionary(pa.int8(), pa.string()), pa.string_view()]
            array = array.cast(draw(st.sampled_from([array.type, *fits])))
        elif pa.types.is_timestamp(array.type) and draw(st.booleans()):
            array = array.cast(pa.timestamp("us"))
        arrays[name] = array
    whole = pa.table(arrays)
    cut = draw(st.integers(0, len(table.users)))
    return table, pa.concat_tables([whole.slice(0, cut), whole.slice(cut)])


def parquet(frame: pa.Table) -> bytes:
    content = io.BytesIO()
    pyarrow.parquet.write_table(frame, content, row_group_size=5)
    return content.getvalue()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def srns_arrays(users: int, items: int, seed: int) -> dict[str, np.ndarray]:
    """What the four pickles of a split hold, of users who have three items or more; `items` is 6 or more."""
    rng = np.random.default_rng(seed)
    of_user = [rng.permutation(items - 1)[: rng.integers(3, items - 2)] for _ in range(users)]
    of_user[0] = np.append(of_user[0], items - 1)  # in training: it says how many items there are
    return {
        "train": np.array([(user, item) for user, mine in enumerate(of_user) for item in mine[2:]]),
        "val": np.array([(user, mine[0]) for user, mine in enumerate(of_user)]),
        "test": np.array([(user, mine[1]) for user, mine in enumerate(of_user)]),
        "test_neg": np.array([rng.choice(np.setdiff1d(np.arange(items), mine), 4) for mine in of_user]),
    }


def pickled(arrays: dict[str, np.ndarray], protocol: int) -> dict[str, bytes]:
    return {f"{name}.pkl": pickle.dumps(array, protocol) for name, array in arrays.items()}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def as_frame(arrow: pa.Table, kind: str) -> object:
    """The same in pandas or polars."""
    if kind == "arrow":
        return arrow
    if kind == "polars":
        import polars

        return polars.from_arrow(arrow)
    return pd.DataFrame({name: arrow[name].to_pandas() for name in arrow.column_names})
