"""Cells that a spreadsheet would take for a formula."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdns_tf.clients import Recommendations
from gdns_tf.clients.bulk import WRITERS
from gdns_tf.clients.formats import format_table
from gdns_tf.clients.spreadsheets import escaped, unescaped

FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://x")',
)
PLAIN = ("", "a=b", "'tis", "1e5", "(500) Days of Summer", "'", "''x", " =1", "M*A*S*H")


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_become_text(text):
    assert escaped(text) == f"'{text}"


@pytest.mark.parametrize("text", PLAIN)
def test_all_else_stays_as_it_is(text):
    assert escaped(text) == unescaped(text) == text


@given(st.text(st.sampled_from("'=+-@\t\r\n＝ a")) | st.text())
def test_every_text_comes_back_and_none_begins_as_a_formula(text):
    cell = escaped(text)
    assert unescaped(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))


def test_a_file_of_recommendations(tmp_path):
    ids = np.array([FORMULAS], object)
    answer = Recommendations(
        queries=np.array(["=user"], object),
        items=ids,
        scores=np.full(ids.shape, -1.5, np.float32),
        known=np.array([True]),
        padding="",
        titles=dict.fromkeys(FORMULAS, "@title\x1b[2J"),
    )
    with WRITERS[".csv"](tmp_path / "recs.csv", None) as write:
        write(answer)
    _, *rows = csv.reader(io.StringIO((tmp_path / "recs.csv").read_bytes().decode(), newline=""))
    for rank, (row, item) in enumerate(zip(rows, FORMULAS, strict=True), start=1):
        assert row[1:4:2] == [str(rank), "-1.5"], "numbers are numbers"
        assert [unescaped(cell) for cell in (row[0], row[2], row[4])] == ["=user", item, "@title\x1b[2J"]
        assert all(cell.startswith("'") for cell in (row[0], row[2], row[4]))
    shown = format_table("user", answer)
    assert all(line.isprintable() for line in shown.splitlines())
    assert shown.count("@title") == len(FORMULAS)
