"""Paths, archives and columns that are odd: each is told in one line that names it, or read as others read it."""

import csv
import io
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from pipelines.config import DataConfig
from pipelines.dataset import Dataset
from pipelines.errors import InputError
from pipelines.load import load_dataset
from pipelines.paths import as_path
from pipelines.readers.files import require_given

READERS = ("", "adjacency", "inter", "ml-1m", "saved", "srns", "table")
CSV = "user_id,item_id,timestamp\n" + "".join(f"u{n},i{7 * n + k},{k}\n" for n in range(30) for k in range(7))
ROWS = "".join(f"{n}::{7 * n + k}::5::{k}\n" for n in range(30) for k in range(7))


def said(name: str, path, **settings) -> str:
    with pytest.raises(InputError) as raised:
        load_dataset(DataConfig(dataset=name, data_dir=str(path), **settings))
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", READERS)
def test_paths_that_lead_nowhere(tmp_path, name):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "broken").symlink_to("gone")
    (tmp_path / "file").write_text("1 2 3\n")
    assert "symbolic links" in said(name, tmp_path / "a")
    assert "broken: no such file or folder, it is a link to gone" in said(name, tmp_path / "broken")
    assert "no such file or folder" in said(name, tmp_path / "file/below")


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("x" * 300, "too long"),
        ("~nobody-of-gdns/x", "home folder"),
        ("a\0b", "NUL"),
        ("\udcff", "UTF-8"),
    ],
)
def test_paths_that_no_file_has(name, path, says):
    assert says in said(name, path)
    with pytest.raises(InputError, match=says):
        require_given(as_path(path), "a file")


@pytest.mark.parametrize("name", READERS)
def test_no_permission(tmp_path, name, monkeypatch):
    def stat(self, **_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(tmp_path), "stat", stat)
    assert f"{tmp_path}: cannot be read (Permission denied)" in said(name, tmp_path)


def test_home_is_known_everywhere(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x.csv").write_text(CSV)
    assert (
        Dataset.load("~/x.csv").fingerprint
        == Dataset.load("table", "~/x.csv", timestamp_column="timestamp").fingerprint
    )
    assert as_path("~") == tmp_path


@pytest.mark.parametrize("name", ["x" * 300, "x" * 100_000, "~nobody-of-gdns", "a\0b", "\udcff"])
def test_a_name_that_is_no_data_set(name):
    with pytest.raises(InputError):
        Dataset.load(name)


def zipped(path, *members: tuple[str, str], method: int = zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("twice", ["ratings.dat", "movies.dat"])
def test_a_zip_with_two_files_of_a_name(tmp_path, twice):
    path = zipped(tmp_path / "x.zip", ("a/ratings.dat", ROWS), ("a/movies.dat", "1::a::b"), (f"b/{twice}", ROWS))
    assert f"this zip holds 2 files {twice}: ['a/{twice}', 'b/{twice}']" in said("ml-1m", path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_member_that_is_damaged_anywhere(tmp_path, method):
    path = zipped(tmp_path / "x.zip", ("ml-1m/ratings.dat", ROWS), method=method)
    whole = load_dataset(DataConfig(dataset="ml-1m", data_dir=str(path)))
    good = path.read_bytes()
    told = 0
    for place in range(0, len(good), max(len(good) // 60, 1)):
        damaged = bytearray(good)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        try:
            found = load_dataset(DataConfig(dataset="ml-1m", data_dir=str(path)))
        except InputError as error:
            told += str(path) in str(error)
        else:
            told += 1
            assert found.fingerprint == whole.fingerprint, "a checksum guards the content"
    assert told == len(range(0, len(good), max(len(good) // 60, 1)))


def test_names_that_are_not_utf8(tmp_path):
    zipped(tmp_path / "x.zip", ("ml-1m/é.dat", ROWS))
    (tmp_path / "x.zip").write_bytes((tmp_path / "x.zip").read_bytes().replace("é".encode(), b"\xff\xfe"))
    assert "x.zip: the archive is truncated or damaged" in said("ml-1m", tmp_path / "x.zip")
    assert "x.zip: the archive is truncated or damaged" in said("", tmp_path / "x.zip")
    pyarrow.parquet.write_table(pa.table({"user_id": ["a"], "itemXX": ["b"]}), tmp_path / "x.parquet")
    content = (tmp_path / "x.parquet").read_bytes().replace(b"itemXX", b"item\xff\xfe")
    (tmp_path / "x.parquet").write_bytes(content)
    assert "x.parquet: the name of a column is not UTF-8" in said("", tmp_path / "x.parquet")


@pytest.mark.parametrize("names", [["user_id", "user_id", "item_id"], ["user_id", "item_id", "item_id"]])
def test_a_column_twice(tmp_path, names):
    table = pa.Table.from_arrays([pa.array(["a"])] * 3, names=names)
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet")
    (tmp_path / "x.csv").write_text(",".join(names) + "\na,b,c\n")
    frame = pd.DataFrame([["a", "b", "c"]], columns=names)
    twice = max(names, key=names.count)
    for path in (tmp_path / "x.parquet", tmp_path / "x.csv"):
        assert twice in said("", path)
        assert f"2 columns named '{twice}'" in said("table", path)
    for each in (table, frame):
        with pytest.raises(InputError):
            Dataset.from_dataframe(each)


def test_columns_without_a_name_are_passed_over(tmp_path):
    frame = pd.read_csv(io.StringIO(CSV))
    frame.to_csv(tmp_path / "x.csv")  # pandas puts the index into a column without a name
    expected = Dataset.from_dataframe(frame).fingerprint
    assert Dataset.load(tmp_path / "x.csv").fingerprint == expected
    for name in ("", None, 7):
        assert Dataset.from_dataframe(frame.assign(more=1).rename(columns={"more": name})).fingerprint == expected
    assert "no column of ['', '', '']" in said("", _written(tmp_path / "y.csv", ",,\n1,2,3\n"))


def _written(path, text: str):
    path.write_text(text, newline="")
    return path


def test_a_line_break_in_quotes_in_the_first_row(tmp_path):
    lines = [f'u{n},i{7 * n + k},"two\nlines",2020-01-{k + 1:02d}\n' for n in range(30) for k in range(7)]
    found = Dataset.load(_written(tmp_path / "x.csv", "user_id,item_id,title,timestamp\n" + "".join(lines)))
    assert found.train.timestamps[0] == pd.Timestamp("2020-01-01").timestamp()
    assert set(found.train.titles) == {"two\nlines"}


@pytest.mark.parametrize("ends", ["\r", "\r\n"])
@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("table", "x.csv", CSV),
        ("ml-1m", "ratings.dat", ROWS),
        ("inter", "x.inter", "user_id:token\titem_id:token\tx\ty\n" + ROWS.replace("::", "\t")),
        ("adjacency", "x.txt", "".join(f"{n} {' '.join(str(7 * n + k) for k in range(7))}\n" for n in range(30))),
    ],
)
def test_other_ends_of_lines_are_the_same(tmp_path, name, file, text, ends):
    expected = Dataset.load(name, _written(tmp_path / file, text)).fingerprint
    assert Dataset.load(name, _written(tmp_path / file, text.replace("\n", ends))).fingerprint == expected


def test_an_error_about_a_user_names_the_file(tmp_path):
    path = _written(
        tmp_path / "x.csv", "user_id,item_id\n" + "".join(f"{n},{k}\n" for n in range(9) for k in range(20))
    )
    assert said("", path).startswith(f"{path}: user 0 has 0 unobserved item(s) of 20")
    with pytest.raises(InputError, match="the DataFrame: user 0 has 0 unobserved"):
        Dataset.from_dataframe(pd.read_csv(path))


@pytest.mark.parametrize(("unit", "tick"), [("s", 2**44), ("ms", 2**62), ("s", -(2**44))])
def test_times_that_microseconds_cannot_say(tmp_path, unit, tick):
    times = pa.array([*range(209), tick]).cast(pa.timestamp(unit))
    frame = pd.read_csv(io.StringIO(CSV))
    table = pa.table({"user_id": frame.user_id.tolist(), "item_id": frame.item_id.tolist(), "timestamp": times})
    with pytest.raises(InputError, match=f"timestamp in row 210 of the data is {tick} {unit} from 1970"):
        Dataset.from_dataframe(table)
    near = pa.array([0] * 209 + [2**62]).cast(pa.timestamp("us"))
    found = Dataset.from_dataframe(table.set_column(2, "timestamp", near), split_by="ratio")
    assert found.train.num_users == 30


@pytest.mark.parametrize("value", [10**30, 10**5000, 2**64, "\ud800"], ids=["1e30", "1e5000", "uint64", "surrogate"])
@pytest.mark.parametrize("column", ["user_id", "timestamp"])
def test_values_of_a_frame_that_no_type_holds(value, column):
    frame = pd.read_csv(io.StringIO(CSV)).astype(object)
    frame.loc[3, column] = value
    with pytest.raises(InputError, match=f"{column} .* in row 4 of the data") as raised:
        Dataset.from_dataframe(frame)
    assert len(str(raised.value)) < 500


def test_values_and_names_that_are_very_long(tmp_path):
    long = "x" * 200_000  # more than Python's parser takes, unasked
    header, first, *others = CSV.splitlines()
    noted = "\n".join([f"{header},note", f"{first},{long}", *(f"{line}," for line in others)])
    expected = Dataset.load(_written(tmp_path / "a.csv", CSV)).fingerprint
    assert Dataset.load(_written(tmp_path / "a.csv", noted)).fingerprint == expected
    bad = f"{header},note\n{first},{long}\nx\n"
    assert "a.csv, line 3: 'x' has not the columns" in said("", _written(tmp_path / "a.csv", bad))
    assert csv.field_size_limit() == 131_072
    names = ",".join(f"c{n}" for n in range(20_000))
    assert len(said("table", _written(tmp_path / "c.csv", f"{names}\n1\n"))) < 1000
    digits = "9" * 5000
    for name, file, text in (
        ("adjacency", "d.txt", f"1 2 3\n4 {digits}\n"),
        ("table", "d.csv", f"user_id,item_id\n1,2\n{digits},3\n"),
        ("ml-1m", "ratings.dat", f"1::2::5::4\n{digits}::2::5::4\n"),
        ("inter", "d.inter", f"user_id:token\titem_id:token\n1\t2\n{digits}\t2\n"),
    ):
        path = _written(tmp_path / file, text)
        assert f"{path}, line {2 if name in ('adjacency', 'ml-1m') else 3}: " in said(name, path)
    _written(tmp_path / "ratings.dat", ROWS)
    _written(tmp_path / "movies.dat", f"1::a::b\n{digits}::a::b\n")
    assert "movies.dat, line 2: " in said("ml-1m", tmp_path)


def test_a_folder_where_a_download_should_lie(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "gdns_tf/ml-1m.zip").mkdir(parents=True)
    with pytest.raises(InputError, match=r"ml-1m\.zip: cannot be read"):
        load_dataset(DataConfig(dataset="ml-1m"))
