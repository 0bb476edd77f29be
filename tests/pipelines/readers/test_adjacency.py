"""Adjacency text against a line-by-line reading."""

import gzip
import random
from pathlib import Path

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.readers import adjacency, reader

PINTEREST = Path(__file__).parents[3] / "../shared/data/pinterest-subset/interactions.txt.gz"


def read(path):
    return reader("adjacency").read(path, DataConfig(dataset="adjacency", data_dir=str(path)))


def line_by_line(text: str) -> list[tuple[int, int]]:
    pairs = []
    for line in text.split("\n"):
        user, *items = map(int, line.split()) if line.strip() else (0,)
        pairs += [(user, item) for item in items]
    return pairs


@pytest.mark.parametrize("block_bytes", [7, 100, 1 << 20])
@pytest.mark.parametrize("end", ["", "\n"])
def test_agrees_with_line_by_line(tmp_path, monkeypatch, block_bytes, end):
    """Users alone, users again, blank lines, tabs and Windows line ends; blocks that end anywhere."""
    monkeypatch.setattr(adjacency, "_BLOCK_BYTES", block_bytes)
    rng = random.Random(1)
    lines = [f"0{' ' * 3}1"]
    for _ in range(300):
        words = [str(rng.choice([0, 7, 12345, 2**63 - 1])) for _ in range(rng.randrange(6))]
        lines.append(rng.choice(["", " "]) + rng.choice([" ", "\t", "  "]).join(words) + rng.choice(["", " ", "\r"]))
    text = "\n".join(lines) + end
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    ratings = read(path)
    assert list(zip(ratings.users.tolist(), ratings.items.tolist(), strict=True)) == line_by_line(text)
    assert ratings.users.dtype == ratings.items.dtype == np.int64
    assert ratings.ratings is None
    assert ratings.timestamps is None


@pytest.mark.parametrize("block_bytes", [5, 1 << 20])
def test_what_is_merged_or_left_out_is_told(tmp_path, monkeypatch, caplog, block_bytes):
    caplog.set_level("INFO", logger="gdns_tf")
    monkeypatch.setattr(adjacency, "_BLOCK_BYTES", block_bytes)
    path = tmp_path / "a.txt"
    path.write_text("7 1 2\n\n8 5 5 5\n9\n7 3 3\n8 5\n7 1\n  \n10\n")
    ratings = read(path)
    assert (ratings.users == 7).sum() == 5, "repeats are left to `duplicates`"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "WARNING",
            f"{path}: 2 user(s) have more than one line, and these are merged; the first is user 7, again in line 5.",
        ),
        ("WARNING", f"{path}: 3 item(s) stand in their line before; the first is item 5 of user 8, line 3."),
        ("WARNING", f"{path}: 2 user(s) have no items and are left out; the first is user 9, line 4."),
        ("INFO", f"{path}: 2 blank line(s) are passed over."),
    ]


def test_nothing_is_told_where_nothing_is_merged(tmp_path, caplog):
    caplog.set_level("INFO", logger="gdns_tf")
    (tmp_path / "a.txt").write_text("7 1 2\n8 1 2")
    read(tmp_path / "a.txt")
    assert caplog.records == []


def test_gzip_under_any_name(tmp_path):
    (tmp_path / "a").write_bytes(gzip.compress(b"3 4 5\n"))
    assert read(tmp_path / "a").items.tolist() == [4, 5]


@pytest.mark.skipif(not PINTEREST.exists(), reason="the Pinterest subset is not on this machine")
def test_pinterest():
    ratings = read(PINTEREST)
    assert (len(np.unique(ratings.users)), len(np.unique(ratings.items)), len(ratings.users)) == (
        37_501,
        9_836,
        1_000_154,
    )
    assert (ratings.users[0], ratings.users[-1]) == (0, 37_500)
