"""What has no end, or is no file: refused at once, by name, and in little memory."""

import gzip
import os
import pickle
import shutil
import socket
import time
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.load import load_dataset
from pipelines.readers import adjacency, delimited, files, npz, parquet

ROWS = "".join(f"{user}::{item}::5::{item}\n" for user in range(1, 30) for item in range(7 * user, 7 * user + 9))
READERS = ("", "adjacency", "inter", "ml-1m", "saved", "srns", "table")


@pytest.fixture
def small_limits(monkeypatch):
    """The limits, a thousandth of what they are: tested is that they hold, and not how long a gigabyte takes."""
    for module, name in (
        *((adjacency, name) for name in ("_BLOCK_BYTES", "MAX_RECORD_BYTES")),
        *((delimited, name) for name in ("_BLOCK_BYTES", "_MAX_RECORD_BYTES", "_MAX_PEEKED_BYTES")),
        *((files, name) for name in ("_MAX_LINE_BYTES", "_FREE_BYTES")),
        (npz, "_FREE_BYTES"),
        (parquet, "_FREE_ROWS"),
        (parquet, "_FREE_TEXT"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name) >> 10)
    monkeypatch.setattr(files.Source.lines, "__kwdefaults__", {"most": 1 << 16})


def refused(name: str, path, **settings) -> str:
    """What is said about a file, quickly, in one line that names it."""
    began = time.monotonic()
    with pytest.raises(InputError) as raised:
        load_dataset(DataConfig(dataset=name, data_dir=str(path), **settings))
    assert time.monotonic() - began < 10
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("ending", ["csv", "txt"])
def test_what_is_no_file(tmp_path, name, ending):
    pipe, device = tmp_path / f"pipe.{ending}", tmp_path / f"device.{ending}"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / f"socket.{ending}"))
    for path, kind in ((pipe, "a pipe"), (device, "a device"), (tmp_path / f"socket.{ending}", "a socket")):
        said = refused(name, path)
        assert kind in said or name in ("table", "srns"), "which look at the name first"
    unix.close()


@pytest.mark.parametrize("part", ["test.pkl", "items.tsv"])
def test_a_part_of_a_folder_that_is_no_file(tmp_path, part):
    held_out = np.array([[0, 4]])
    parts = {"train": np.array([[0, 0], [0, 1], [0, 2], [0, 3]]), "val": held_out, "test": held_out + np.array([0, 1])}
    for name, array in (parts | {"test_neg": np.array([[6, 7]])}).items():
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(array))
    shutil.rmtree(tmp_path / part) if (tmp_path / part).is_dir() else (tmp_path / part).unlink(missing_ok=True)
    (tmp_path / part).mkdir()
    assert f"{part}: this is a folder" in refused("srns", tmp_path) or part == "test.pkl"
    (tmp_path / part).rmdir()
    os.mkfifo(tmp_path / part)
    said = refused("srns", tmp_path)
    assert f"{part}: this is a pipe" in said or f"has no {part}" in said


@pytest.mark.parametrize("unit", [b"1 2 3 ", b"\0", b"a,b,", b'"'])
@pytest.mark.parametrize("name", ["adjacency", "inter", "ml-1m", "table"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_record_without_end(tmp_path, small_limits, name, unit, packed):
    path = tmp_path / ("x.csv.gz" if packed else "x.csv")
    content = unit * (1 << 22)
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    tracemalloc.start()
    refused(name, path)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_a_line_without_end_after_good_ones(tmp_path, small_limits):
    path = tmp_path / "x.txt"
    path.write_bytes(b"1 2 3\n\n4 5 6\n" * 3 + b"7 8 9 " * 10_000)
    assert f"{path}, line 10: a line of more than" in refused("adjacency", path)


@pytest.mark.parametrize("pack", ["gzip", "zip"])
def test_an_archive_that_unpacks_to_absurdly_much(tmp_path, small_limits, pack):
    path, content = tmp_path / f"x.{pack}", b"1::2::5::4\n" * 100_000
    if pack == "gzip":
        path.write_bytes(gzip.compress(content))
    else:
        with zipfile.ZipFile(path := tmp_path / "ml-1m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("ml-1m/ratings.dat", content)
    assert "unpack to more than" in refused("ml-1m", path)


def test_real_data_packs_far_less_well(tmp_path, small_limits):
    rng = np.random.default_rng(0)
    text = "".join(
        f"{user}::{item}::5::{item}\n" for user in range(200) for item in rng.integers(0, 3000, 100).tolist()
    )
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(text.encode()))
    assert len(text) > files._FREE_BYTES
    assert load_dataset(DataConfig(dataset="ml-1m", data_dir=str(path))).train.num_users == 200


@pytest.mark.parametrize("content", ["1::a::b|" * 100_000, "1::a::b\n" * 100_000, '1,"a\n\n' * 100_000])
def test_titles_without_end(tmp_path, small_limits, content):
    (tmp_path / "ratings.dat").write_text(ROWS)
    (tmp_path / "movies.dat").write_text(content)
    said = refused("ml-1m", tmp_path)
    assert f"{tmp_path / 'movies.dat'}" in said
    assert "of text" in said


def test_equal_numbers_and_rows_without_end(tmp_path, small_limits):
    np.savez_compressed(tmp_path / "x.npz", format=1, offsets=np.zeros(1 << 20, np.int64))
    assert "that unpack to 8,38" in refused("saved", tmp_path / "x.npz")
    equal = pa.table({"user_id": pa.array(["a"] * 200_000), "item_id": pa.array(["b"] * 200_000)})
    pyarrow.parquet.write_table(equal, tmp_path / "x.parquet")
    assert "200,000 rows in" in refused("table", tmp_path / "x.parquet")


@pytest.mark.parametrize("column", ["user_id", "title"])
@pytest.mark.parametrize("as_category", [False, True])
def test_one_long_text_in_many_rows(tmp_path, small_limits, column, as_category):
    rows = {
        "user_id": [f"u{row % 50}" for row in range(2000)],
        "item_id": list(range(2000)),
        column: ["x" * 900] * 2000,
    }
    table = pa.table(rows)
    if as_category:
        place = table.column_names.index(column)
        table = table.set_column(place, column, table[column].dictionary_encode())
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    told = refused("table", tmp_path / "x.parquet", title_column="title" if column == "title" else "")
    assert "bytes of text in" in told


def test_a_pickle_that_asks_for_gigabytes(tmp_path):
    for name in ("train", "val", "test", "test_neg"):
        (tmp_path / f"{name}.pkl").write_bytes(b"\x80\x02Nr\xff\xff\xff\x0f.")  # into place 2^28 of the memo
    began = time.monotonic()
    assert "NoneType" in refused("srns", tmp_path)
    assert time.monotonic() - began < 0.5
