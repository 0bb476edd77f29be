"""Every file reader against every kind of bad file: each must name the file, the line and a remedy."""

import gzip
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.load import load_dataset
from pipelines.readers import reader


@dataclass(frozen=True)
class Layout:
    """How a source writes the rows (user, item, rating, timestamp)."""

    config: DataConfig
    file: str
    separator: str
    header: str = ""

    def text(self, rows: list[tuple]) -> str:
        lines = [self.separator.join(map(str, row)) for row in rows]
        return "\n".join([self.header, *lines] if self.header else lines) + "\n"

    def line(self, row: int) -> int:
        """Number of the line that holds row `row`, counted from 0."""
        return row + 1 + bool(self.header)


TABLE = DataConfig(
    dataset="table",
    user_column="user",
    item_column="item",
    rating_column="rating",
    timestamp_column="time",
)
GRADED = {
    "ml-1m": Layout(DataConfig(dataset="ml-1m"), "ratings.dat", "::"),
    "ml-100k": Layout(DataConfig(dataset="ml-100k"), "u.data", "\t"),
    "ml-32m": Layout(DataConfig(dataset="ml-32m"), "ratings.csv", ",", "userId,movieId,rating,timestamp"),
    "inter": Layout(
        DataConfig(dataset="inter"), "x.inter", "\t", "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    ),
    "table": Layout(TABLE, "x.csv", ",", "user,item,rating,time"),
}
LAYOUTS = GRADED | {"adjacency": Layout(DataConfig(dataset="adjacency"), "x.txt", " ")}
GOOD = [(user, item, 4, 1000 + item) for user in range(1, 40) for item in range(1, 30)]
BAD_ROW = 700


def read(layout: Layout, path: Path):
    return reader(layout.config.dataset).read(path, layout.config)


def written(layout: Layout, folder: Path, bad_row: tuple | None = None) -> Path:
    rows = list(GOOD)
    if bad_row is not None:
        rows[BAD_ROW] = bad_row
    path = folder / layout.file
    path.write_text(layout.text(rows))
    return path


def error(layout: Layout, path: Path) -> InputError:
    with pytest.raises(InputError) as raised:
        read(layout, path)
    assert str(path) in str(raised.value)
    assert len(str(raised.value)) < 600
    return raised.value


@pytest.fixture(params=LAYOUTS)
def layout(request) -> Layout:
    return LAYOUTS[request.param]


@pytest.fixture(params=GRADED)
def graded(request) -> Layout:
    return GRADED[request.param]


def test_the_good_file_is_good(graded, tmp_path):
    ratings = read(graded, written(graded, tmp_path))
    assert ratings.users.tolist() == [row[0] for row in GOOD]
    assert ratings.items.tolist() == [row[1] for row in GOOD]
    assert set(ratings.ratings.tolist()) == {4.0}
    assert ratings.timestamps.tolist() == [row[3] for row in GOOD]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ((3, 4, "nan", 5), "finite"),
        ((3, 4, "inf", 5), "finite"),
        ((3, 4, "1e99", 5), "finite"),
        ((3, 4, "", 5), "finite"),
        ((3, 4, "good", 5), "'good'"),
        ((3, 4, 5, "-inf"), "finite"),
        ((3, 4, 5, "now"), "'now'"),
        ((3, 4, 5), "has not the columns"),
        ((3,), "has not the columns"),
        ((3, 4, 5, 6, 7), "has not the columns"),
        (("", 4, 5, 6), "not an id"),
    ],
)
def test_bad_graded_line(graded, tmp_path, row, says):
    raised = error(graded, written(graded, tmp_path, row))
    assert raised.line == graded.line(BAD_ROW)
    assert says in str(raised)


@pytest.mark.parametrize("row", [(-3, 4, 5, 6), (3, -4, 5, 6), (2**63, 4, 5, 6), (3, 10**40, 5, 6)])
def test_negative_or_absurd_id(layout, tmp_path, row):
    raised = error(layout, written(layout, tmp_path, row))
    assert raised.line == layout.line(BAD_ROW)
    assert "is not an id" in str(raised)


@pytest.mark.parametrize("word", ["x", "4.5", "+4", "é"])
def test_word_that_is_no_id(tmp_path, word):
    for name in ("ml-1m", "adjacency"):
        raised = error(LAYOUTS[name], written(LAYOUTS[name], tmp_path, (3, word, 5, 6)))
        assert raised.line == LAYOUTS[name].line(BAD_ROW)


def test_only_one_colon(tmp_path):
    path = tmp_path / "ratings.dat"
    path.write_text("1::2::3::4\n1:x:2::3::4\n")
    raised = error(LAYOUTS["ml-1m"], path)
    assert raised.line == 2
    assert "'x' is not empty" in str(raised)


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_empty(layout, tmp_path, content):
    path = tmp_path / layout.file
    path.write_text(content)
    assert "empty" in str(error(layout, path))


def test_only_a_header(tmp_path):
    for layout in (layout for layout in LAYOUTS.values() if layout.header):
        path = tmp_path / layout.file
        path.write_text(layout.header + "\n")
        assert "empty" in str(error(layout, path))


def test_utf16(layout, tmp_path):
    path = tmp_path / layout.file
    path.write_bytes(layout.text(GOOD).encode("utf-16"))
    raised = error(layout, path)
    assert raised.line == 1
    assert "iconv" in str(raised) or layout.separator == " "


def test_latin1_where_text_is_read(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("user,item\n1,Amélie\n2,Léon\n".encode("latin-1"))
    raised = error(Layout(DataConfig(dataset="table", user_column="user", item_column="item"), "x.csv", ","), path)
    assert raised.line == 2
    assert "UTF-8" in str(raised)


def test_truncated_gzip(layout, tmp_path):
    path = tmp_path / (layout.file + ".gz")
    packed = gzip.compress(layout.text(GOOD).encode())
    path.write_bytes(packed)
    if layout.config.dataset != "inter":
        assert len(read(layout, path).users)
    path.write_bytes(packed[: len(packed) // 2])
    assert "truncated" in str(error(layout, path))
    path.write_bytes(packed[:-8] + b"\0" * 8)
    assert "damaged" in str(error(layout, path))
    path.write_bytes(b"not gzip at all")
    assert "damaged" in str(error(layout, path))


@pytest.mark.parametrize("name", ["ml-1m", "ml-100k", "ml-32m"])
def test_bad_zip(tmp_path, name):
    layout, path = LAYOUTS[name], tmp_path / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/{layout.file}", layout.text(GOOD))
    packed = path.read_bytes()
    assert len(read(layout, path).users) == len(GOOD)
    path.write_bytes(packed[: len(packed) // 2])
    assert "damaged" in str(error(layout, path))
    middle = len(packed) // 3
    path.write_bytes(packed[:middle] + bytes([packed[middle] ^ 255]) + packed[middle + 1 :])
    assert "damaged" in str(error(layout, path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.txt", "nothing")
    assert "other.txt" in str(error(layout, path))


def test_missing_file(layout, tmp_path):
    assert "no such file" in str(error(layout, tmp_path / layout.file))


@pytest.mark.parametrize("name", ["adjacency", "inter", "table"])
def test_data_dir_left_out(name):
    with pytest.raises(InputError, match="`data_dir` is empty"):
        read(LAYOUTS[name], None)


def test_folder_where_a_file_is_needed(tmp_path):
    assert "folder" in str(error(LAYOUTS["adjacency"], tmp_path))
    assert "folder" in str(error(LAYOUTS["table"], tmp_path))
    assert "0 .inter files" in str(error(LAYOUTS["inter"], tmp_path))


def test_missing_column_lists_those_there_are(tmp_path):
    for name, header in [("ml-32m", "userId,movie,rating,timestamp"), ("table", "user,movie,rating,time")]:
        layout = LAYOUTS[name]
        path = tmp_path / layout.file
        path.write_text(f"{header}\n1,2,3,4\n")
        assert "'movie'" in str(error(layout, path))
    path = tmp_path / "x.inter"
    path.write_text("user_id:token\tmovie:token\n1\t2\n")
    assert "'movie:token'" in str(error(LAYOUTS["inter"], path))


def test_wrong_separator_is_suspected(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("user;item;rating;time\n1;2;3;4\n")
    assert "separated by ','" in str(error(LAYOUTS["table"], path))


def test_first_of_several_bad_lines_is_named_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.readers.delimited._BLOCK_BYTES", 1000)
    monkeypatch.setattr("pipelines.readers.adjacency._BLOCK_BYTES", 1000)
    for layout in LAYOUTS.values():
        rows = list(GOOD)
        rows[BAD_ROW] = rows[BAD_ROW + 1] = rows[BAD_ROW + 300] = (3, -4, 5, 6)
        path = tmp_path / layout.file
        path.write_text(layout.text(rows).replace("\n", "\r\n"))
        assert error(layout, path).line == layout.line(BAD_ROW)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("x.csv", "", r"x\.csv: empty\. The first line must name the columns"),
        ("x.txt", "", r"x\.txt: it is not plain how to read this: an empty file"),
        ("x.csv", "user,customer_id,item\n1,2,3\n", r"\['user', 'customer_id'\] may each be the `user_column`\. Set"),
        ("x.csv", "user,item,date,time\n1,2,3,4\n", r"\['date', 'time'\] may each be the `timestamp_column`\. Set"),
        ("x.csv", "1,7,5,100\n1,8,4,101\n", r"no column of \['1', '7', '5', '100'\] .* The first line looks like data"),
        (
            "x.csv",
            "ann,song\nbob,tune\n",
            r"no column of \['ann', 'song'\] is plainly the `user_column`.* line of names",
        ),
        ("x.csv", "user;item\n1;2\n", r"no column of \['user;item'\] .* separated by ','"),
        ("x.csv", "user\n1\n", r"no column of \['user'\] is plainly the `item_column`"),
        ("x.parquet", "user,item\n", r"x\.parquet: not Parquet, or damaged"),
        ("x.zip", "user,item\n", r"x\.zip: the archive is truncated or damaged"),
    ],
)
def test_wrong_files_of_which_nothing_is_said(tmp_path, file, content, says):
    (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=says) as raised:
        load_dataset(DataConfig(data_dir=str(tmp_path / file)))
    assert str(tmp_path / file) in str(raised.value)


def test_a_folder_with_nothing_readable(tmp_path):
    (tmp_path / "readme.md").write_text("x")
    (tmp_path / ".hidden.csv").write_text("user,item\n")
    with pytest.raises(InputError, match=r"a folder of \['.hidden.csv', 'readme.md'\]\. Set `dataset` to what it is"):
        load_dataset(DataConfig(data_dir=str(tmp_path)))
