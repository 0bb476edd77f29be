"""The shared parser where the readers alone do not show it: blocks, quotes, blank lines, line numbers."""

import csv
import io
import random

import pandas as pd
import pytest

from pipelines.errors import InputError
from pipelines.readers import delimited
from pipelines.readers.delimited import Format, read_columns
from pipelines.readers.files import Source
from pipelines.readers.kinds import INTEGER_ID, RATING, TEXT, TOKEN

QUOTED = Format(",", quoted=True)


def columns(tmp_path, content: str | bytes, form: Format = QUOTED, **kinds):
    path = tmp_path / "data.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_columns(Source(path), form, kinds)
    return {name: values.to_pylist() if kinds[name] is TEXT else values.tolist() for name, values in found.items()}


@pytest.mark.parametrize("block_bytes", [64, 200, 1 << 20])
def test_agrees_with_the_csv_module(tmp_path, monkeypatch, block_bytes):
    """Titles with delimiters, quotes and line ends; blocks that end anywhere."""
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", block_bytes)
    rng = random.Random(1)
    rows = [
        [str(number), "".join(rng.choices('ab,"\n é', k=rng.randrange(12))), f"{rng.randrange(9) / 2}"]
        for number in range(300)
    ]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["id", "title", "grade"], *rows])
    found = columns(tmp_path, text.getvalue(), id=INTEGER_ID, title=TEXT, grade=RATING)
    assert found == {
        "id": [int(row[0]) for row in rows],
        "title": [row[1] for row in rows],
        "grade": [float(row[2]) for row in rows],
    }


@pytest.mark.parametrize("block_bytes", [64, 1 << 20])
def test_line_of_an_error_counts_blank_lines_and_lines_inside_quotes(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", block_bytes)
    content = "id,title\n" + '1,"two\nlines"\n\n' * 50 + "x,last\n"
    with pytest.raises(InputError) as raised:
        columns(tmp_path, content, id=INTEGER_ID, title=TEXT)
    assert raised.value.line == 1 + 3 * 50 + 1
    assert "id 'x' is not an id" in str(raised.value)


def test_quote_that_is_never_closed(tmp_path):
    """pyarrow alone would take all that follows for one value, and lose the rows."""
    with pytest.raises(InputError, match="no closing quote") as raised:
        columns(tmp_path, 'id,title\n1,fine\n2,"open\n3,lost\n4,lost\n', id=INTEGER_ID)
    assert raised.value.line == 3


def test_quote_inside_a_plain_value_is_a_character(tmp_path):
    found = columns(tmp_path, 'id,title\n1,12" vinyl\n2,b\n', id=INTEGER_ID, title=TEXT)
    assert found == {"id": [1, 2], "title": ['12" vinyl', "b"]}


def test_byte_order_mark_and_windows_line_ends(tmp_path):
    assert columns(tmp_path, b"\xef\xbb\xbfid,x\r\n1,2\r\n\r\n3,4", id=INTEGER_ID) == {"id": [1, 3]}
    assert columns(tmp_path, b"\xef\xbb\xbf1,2\r\n3,4", Format(",", ("id", "x")), id=INTEGER_ID) == {"id": [1, 3]}


def test_columns_not_asked_for_are_not_looked_at(tmp_path):
    assert columns(tmp_path, "a,id,b\nnan,1,\xff\n,2,x\n".encode("latin-1"), id=INTEGER_ID) == {"id": [1, 2]}


def test_column_named_twice(tmp_path):
    with pytest.raises(InputError, match="2 columns named 'id'"):
        columns(tmp_path, "id,id\n1,2\n", id=INTEGER_ID)


@pytest.mark.parametrize(
    ("written", "ids"),
    [
        ("7 8 10", [7, 8, 10]),
        ("7 007 8", ["7", "007", "8"]),
        ("a -1 8", ["a", "-1", "8"]),
        ("1.0 2.0 1.0", ["1.0", "2.0", "1.0"]),
        (f"{2**63 - 1} 0 1", [2**63 - 1, 0, 1]),
    ],
)
def test_the_rule_for_ids(tmp_path, written, ids):
    assert columns(tmp_path, "id\n" + written.replace(" ", "\n") + "\n", id=TOKEN) == {"id": ids}


def test_endless_record_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 100)
    monkeypatch.setattr(delimited, "_MAX_RECORD_BYTES", 1000)
    with pytest.raises(InputError, match="a record of more than") as raised:
        columns(tmp_path, 'id,title\n1,a\n2,"' + "b\n" * 2000, id=INTEGER_ID)
    assert raised.value.line == 3


@pytest.mark.parametrize("block_bytes", [32, 1 << 20])
@pytest.mark.parametrize("ends", ["\r", "\r\n", "\n", "\r \n \r\n"])
def test_any_end_of_line_is_one(tmp_path, monkeypatch, ends, block_bytes):
    """As pandas has it; and lines are counted by them."""
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", block_bytes)
    ends, rows = ends.split(" "), [f"{n},{n % 7}" for n in range(100)]
    text = "".join(row + ends[n % len(ends)] for n, row in enumerate(["id,x", *rows]))
    expected = pd.read_csv(io.StringIO(text))
    assert columns(tmp_path, text, id=INTEGER_ID, x=INTEGER_ID) == expected.to_dict("list")
    with pytest.raises(InputError) as raised:
        columns(tmp_path, text + "x,y", id=INTEGER_ID)
    assert raised.value.line == 102


def test_first_bad_line_is_named_whatever_the_column(tmp_path, capfd):
    """pyarrow names the first bad number of columns first, then the first bad value of each column in turn."""
    bad = [b"1,2,x", b"x,2,3", b"1,-2,3", b"1,\xff", b"1,2,nan", b"1,2,3,4"]
    for first in range(len(bad)):
        lines = [b"a,b,c", *[b"1,2,3"] * 40, b"", *bad[first:], *bad[:first]]
        with pytest.raises(InputError) as raised:
            columns(tmp_path, b"\n".join(lines), a=INTEGER_ID, b=INTEGER_ID, c=RATING)
        assert raised.value.line == 43
        assert ("has not the columns" in str(raised.value)) == (bad[first].count(b",") != 2)
    assert capfd.readouterr() == ("", "")


def test_line_after_a_quote_inside_a_plain_value(tmp_path):
    with pytest.raises(InputError) as raised:
        columns(tmp_path, 'id,title\n1,12" vinyl\n2,b\nx,c\n3,7" single\n', id=INTEGER_ID, title=TEXT)
    assert raised.value.line == 4


def test_value_of_many_lines_before_a_bad_line(tmp_path):
    """Longer than what Python's parser takes, unasked."""
    with pytest.raises(InputError, match="id 'x' is not an id") as raised:
        columns(tmp_path, 'id,title\n1,a\n2,"' + "b\n" * 70_000 + '"\nx,c\n', id=INTEGER_ID)
    assert raised.value.line == 70_004
