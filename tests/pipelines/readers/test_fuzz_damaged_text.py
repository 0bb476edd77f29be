"""Of text that is damaged and read all the same, the ids are those that Python's csv reads, or `split` of the lines."""

import csv
import io
import itertools

import pytest
import written_tables as written
from damaged_bytes import DAMAGES, damaged, few
from hypothesis import given

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.readers import reader

BOM = b"\xef\xbb\xbf"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    whole = tmp_path_factory.mktemp("text")
    return (whole / str(number) for number in itertools.count())


def ids_of(folders, name: str, file: str, content: bytes) -> tuple[list[str], list[str]] | None:
    """The users and items that a reader reads; None where it refuses the file."""
    path = written.write(next(folders), {file: content}) / file
    columns = {"user_column": "user_id", "item_column": "item_id"} if name == "table" else {}
    try:
        ratings = reader(name).read(path, DataConfig(dataset=name, data_dir=str(path), **columns))
    except InputError:
        return None
    return list(map(str, ratings.users.tolist())), list(map(str, ratings.items.tolist()))


def is_what_csv_reads(content: bytes, delimiter: str, quoting: int, found: tuple) -> None:
    text = io.StringIO(content.removeprefix(BOM).decode("latin-1"), newline="")  # other columns may be anything
    header, *rows = (row for row in csv.reader(text, delimiter=delimiter, quoting=quoting) if row)
    places = [[name.partition(":")[0] for name in header].index(name) for name in ("user_id", "item_id")]
    rows = [row for row in rows if any(row[place] != header[place] for place in places)]  # which may stand there again
    assert found == tuple([row[place].encode("latin-1").decode() for row in rows] for place in places)


@few
@given(written.delimited(","), DAMAGES)
def test_csv(folders, both, damages):
    content = damaged(both[1][0], damages)
    found = ids_of(folders, "table", "x.csv", content)
    if found is None:
        return
    is_what_csv_reads(content, ",", csv.QUOTE_MINIMAL, found)


@few
@given(written.delimited("\t", quoted=False, names=["user_id:token", "item_id:token", "rating:float"]), DAMAGES)
def test_inter(folders, both, damages):
    content = damaged(both[1][0], damages)
    found = ids_of(folders, "inter", "x.inter", content)
    if found is None:
        return
    is_what_csv_reads(content, "\t", csv.QUOTE_NONE, found)


@few
@given(written.adjacency(), DAMAGES)
def test_adjacency(folders, both, damages):
    content = damaged(both[1], damages)
    found = ids_of(folders, "adjacency", "x.txt", content)
    if found is None:
        return
    lines = [line.split() for line in io.StringIO(content.decode(), newline=None)]
    pairs = [(int(line[0]), int(item)) for line in lines for item in line[1:]]
    assert found == tuple(list(map(str, column)) for column in zip(*pairs, strict=True))


@few
@given(written.movielens(), DAMAGES)
def test_movielens(folders, both, damages):
    content = damaged(both[1], damages)
    found = ids_of(folders, "ml-1m", "ratings.dat", content)
    if found is None:
        return
    rows = [line.rstrip("\n").split("::") for line in io.StringIO(content.removeprefix(BOM).decode(), newline=None)]
    rows = [row for row in rows if row != [""]]
    assert found == tuple([str(int(row[place])) for row in rows] for place in (0, 1))
