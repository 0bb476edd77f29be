"""CSV, TSV and Parquet files of one table give the same ratings."""

import datetime
import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.readers import reader

COLUMNS = {
    "who": ["ann", "bob", "ann"],
    "what": [7, 8, 8],
    "grade": [3.5, 4.0, 5.0],
    "when": [1_600_000_000, 1_600_000_001, 1_600_000_002],
    "name": ["", "Eight, or 8", "Other"],
    "more": ["x", "y", "z"],
}
CONFIG = DataConfig(
    dataset="table",
    user_column="who",
    item_column="what",
    rating_column="grade",
    timestamp_column="when",
    title_column="name",
)
UTC = datetime.UTC


def read(path, config=CONFIG):
    return reader("table").read(path, config)


def write(folder, suffix, columns=COLUMNS):
    path = folder / f"data{suffix}"
    if suffix == ".parquet":
        pa.parquet.write_table(pa.table(columns), path)
        return path
    delimiter = "\t" if "tsv" in suffix else ","
    quoted = [
        [f'"{value}"' if delimiter in str(value) else str(value) for value in values] for values in columns.values()
    ]
    text = "\n".join(map(delimiter.join, [list(columns), *map(list, zip(*quoted, strict=True))]))
    path.write_bytes(gzip.compress(text.encode()) if suffix.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet"])
def test_every_format(tmp_path, suffix):
    ratings = read(write(tmp_path, suffix))
    assert ratings.users.tolist() == COLUMNS["who"]
    assert ratings.items.tolist() == COLUMNS["what"]
    assert ratings.ratings.tolist() == COLUMNS["grade"]
    assert ratings.timestamps.tolist() == COLUMNS["when"]
    assert ratings.titles == {8: "Eight, or 8"}
    assert (ratings.items.dtype, ratings.ratings.dtype, ratings.timestamps.dtype) == (np.int64, np.float32, np.float64)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_only_ids(tmp_path, suffix):
    ratings = read(write(tmp_path, suffix), DataConfig(dataset="table", user_column="who", item_column="what"))
    assert ratings.ratings is None
    assert ratings.timestamps is None
    assert ratings.titles == {}


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2020-12-31", datetime.datetime(2020, 12, 31, tzinfo=UTC)),
        ("2020-12-31 23:59:59", datetime.datetime(2020, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2020-12-31T23:59:59.5", datetime.datetime(2020, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)),
        ("2020-12-31T23:59:59Z", datetime.datetime(2020, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2020-12-31T23:59:59+02:00", datetime.datetime(2020, 12, 31, 21, 59, 59, tzinfo=UTC)),
        ("1609459199.25", datetime.datetime(2020, 12, 31, 23, 59, 59, 250_000, tzinfo=UTC)),
    ],
)
def test_times_in_text(tmp_path, written, moment):
    ratings = read(write(tmp_path, ".csv", COLUMNS | {"when": [written] * 3}))
    assert ratings.timestamps.tolist() == [moment.timestamp()] * 3


def test_bad_date_after_good_ones(tmp_path):
    with pytest.raises(InputError, match="when '31 Dec' is not a date-time") as raised:
        read(write(tmp_path, ".csv", COLUMNS | {"when": ["2020-12-31", "2020-12-31", "31 Dec"]}))
    assert raised.value.line == 4


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        (pa.timestamp("s"), 1_600_000_000.0),
        (pa.timestamp("ms", "Europe/Berlin"), 1_600_000_000.0),
        (pa.timestamp("ns"), 1_600_000_000.0),
        (pa.date32(), 1_599_955_200.0),
        (pa.float64(), 1_600_000_000.0),
    ],
)
def test_times_in_parquet(tmp_path, kind, seconds):
    moment = datetime.datetime.fromtimestamp(1_600_000_000, UTC)
    values = [1.6e9 if kind == pa.float64() else moment.date() if kind == pa.date32() else moment] * 3
    column = pa.array(
        [value.replace(tzinfo=None) if getattr(kind, "tz", "") is None else value for value in values], kind
    )
    assert read(write(tmp_path, ".parquet", COLUMNS | {"when": column})).timestamps.tolist() == [seconds] * 3


def test_text_and_dictionary_ids_in_parquet_follow_the_rule_of_csv(tmp_path):
    for who in (["1", "2", "1"], pa.array(["1", "2", "1"]).dictionary_encode(), pa.array([1, 2, 1], pa.uint8())):
        assert read(write(tmp_path, ".parquet", COLUMNS | {"who": who})).users.tolist() == [1, 2, 1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"who": ["ann", None, "bob"]}, "who None in row 2"),
        ({"who": ["ann", "bob", ""]}, "who '' in row 3"),
        ({"what": [7, None, 8]}, "what None in row 2"),
        ({"what": [7, 8, -1]}, "what -1 in row 3"),
        ({"what": pa.array([7, 2**63, 8], pa.uint64())}, "what 9223372036854775808 in row 2"),
        ({"what": ["7", "-8", "9"]}, "what -8 in row 2"),
        ({"what": [7.0, 8.0, 9.0]}, "ids are integers or text"),
        ({"what": [[7], [8], [9]]}, "'what' of type list"),
        ({"grade": [4.0, None, 5.0]}, "grade None in row 2"),
        ({"grade": [4.0, 5.0, float("nan")]}, "grade nan in row 3"),
        ({"grade": [4.0, 5.0, 1e99]}, "grade inf in row 3"),
        ({"grade": ["4", "good", "5"]}, "'grade' of type string"),
        ({"when": [1, None, 2]}, "when None in row 2"),
        ({"when": [1.0, float("inf"), 2.0]}, "when inf in row 2"),
    ],
)
def test_bad_parquet_values(tmp_path, change, says):
    path = write(tmp_path, ".parquet", COLUMNS | change)
    with pytest.raises(InputError, match=says) as raised:
        read(path)
    assert str(path) in str(raised.value)


def test_bad_parquet_files(tmp_path):
    path = write(tmp_path, ".parquet")
    with pytest.raises(InputError, match=r"no column named 'user_id'; there are \['who'"):
        read(path, DataConfig(dataset="table", user_column="user_id", item_column="what"))
    content = path.read_bytes()
    for damaged in (b"", b"user,item\n1,2\n", content[: len(content) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="not Parquet, or damaged"):
            read(path)
    with pytest.raises(InputError, match="empty"):
        read(write(tmp_path, ".parquet", {name: pa.array([], pa.string()) for name in COLUMNS}))


def test_two_flags_for_one_column(tmp_path):
    config = DataConfig(dataset="table", user_column="who", item_column="name", title_column="name")
    with pytest.raises(InputError, match="`item_column` and `title_column` both name 'name'"):
        read(write(tmp_path, ".csv"), config)


def test_other_suffix(tmp_path):
    (tmp_path / "a.xlsx").write_text("x")
    with pytest.raises(InputError, match=r"not a \.csv"):
        read(tmp_path / "a.xlsx")


@pytest.fixture
def spark(tmp_path):
    """Writes a folder as Spark does: parts, their checksums and a mark of success."""

    def write_parts(suffix, *parts):
        folder = tmp_path / "clicks"
        folder.mkdir()
        for number, columns in enumerate(parts):
            written = write(tmp_path, suffix, columns)
            name = f"part-{number:05d}-4f6c-c000{suffix}"
            written.rename(folder / name)
            (folder / f".{name}.crc").write_bytes(b"crc\0")
        (folder / "_SUCCESS").write_bytes(b"")
        return folder

    return write_parts


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_folder_of_parts_is_one_table(spark, suffix):
    # Columns in another order, and ids that are numbers in one part and words in the next.
    other = {name: COLUMNS[name] for name in reversed(COLUMNS)} | {"what": ["9", "x", "010"], "name": ["", "", "Ten"]}
    first = COLUMNS | {"what": ["7", "8", "8"]}
    ratings = read(spark(suffix, first, {name: values[:0] for name, values in first.items()}, other))
    assert ratings.items.tolist() == ["7", "8", "8", "9", "x", "010"]
    assert ratings.users.tolist() == COLUMNS["who"] * 2
    assert ratings.ratings.tolist() == COLUMNS["grade"] * 2
    assert ratings.titles == {"8": "Eight, or 8", "010": "Ten"}


def test_part_without_even_a_header(spark):
    folder = spark(".csv", COLUMNS, COLUMNS | {"when": ["2020-12-31"] * 3})
    (folder / "part-00000-4f6c-c000.csv").write_bytes(b"")
    assert read(folder).timestamps.tolist() == [datetime.datetime(2020, 12, 31, tzinfo=UTC).timestamp()] * 3


def test_bad_part_is_named(spark):
    folder = spark(".csv", COLUMNS, COLUMNS | {"grade": [1, "good", 3]})
    with pytest.raises(InputError, match=r"part-00001-4f6c-c000\.csv, line 3: grade 'good'"):
        read(folder)
    (folder / "part-00001-4f6c-c000.csv").write_text("who,what\n1,2\n")
    with pytest.raises(InputError, match=r"part-00001-4f6c-c000\.csv: no column named 'grade'"):
        read(folder)


def test_negative_id_in_a_later_part(spark):
    folder = spark(".csv", COLUMNS, COLUMNS | {"what": [1, 2, -3]})
    with pytest.raises(InputError, match=r"part-00001-4f6c-c000\.csv, line 4: what '-3' is not an id"):
        read(folder)


def test_parts_of_types_that_do_not_go_together(spark):
    folder = spark(".parquet", COLUMNS, COLUMNS | {"when": ["a", "b", "c"]})
    with pytest.raises(InputError, match=r"clicks: the parts differ in their types"):
        read(folder)


def test_folder_that_is_no_table(tmp_path, spark):
    with pytest.raises(InputError, match=r"holds \[\], not the parts of one table"):
        read(tmp_path)
    folder = spark(".csv", COLUMNS)
    (folder / "day=1").mkdir()
    with pytest.raises(InputError, match="holds a folder, day=1"):
        read(folder)
    (folder / "day=1").rmdir()
    (folder / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"'notes\.txt'.* not the parts of one table"):
        read(folder)


def test_no_name_for_a_column_that_must_be(tmp_path):
    with pytest.raises(InputError, match="`user_column`= must name a column"):
        read(write(tmp_path, ".csv"), DataConfig(dataset="table", user_column=""))


def test_near_name_is_suggested(tmp_path):
    config = DataConfig(dataset="table", user_column="who", item_column="waht")
    with pytest.raises(InputError, match=r"no column named 'waht'; did you mean 'what'\?"):
        read(write(tmp_path, ".parquet"), config)


@pytest.fixture
def said(caplog):
    caplog.set_level("INFO", logger="gdns_tf")
    return lambda: [(record.levelname, record.getMessage().partition(": ")[2]) for record in caplog.records]


IDS = DataConfig(dataset="table", user_column="who", item_column="what")


def test_rows_that_repeat_the_header_are_left_out_and_told(tmp_path, said):
    path = tmp_path / "a.csv"
    path.write_text("who,what,more\nann,x,1\nwho,what,more\nwho,x,1\nwho,what,more\nbob,what,2\n")
    ratings = read(path, IDS)
    pairs = list(zip(ratings.users.tolist(), ratings.items.tolist(), strict=True))
    assert pairs == [("ann", "x"), ("who", "x"), ("bob", "what")]
    assert said() == [("WARNING", "2 row(s) that repeat the header are left out.")]
    path.write_text("who,what,grade\n1,2,3\nwho,what,grade\n")
    with pytest.raises(InputError, match="line 3: grade 'grade' is not a finite number"):
        read(path, DataConfig(dataset="table", user_column="who", item_column="what", rating_column="grade"))


def test_blank_lines_are_told(tmp_path, said):
    path = tmp_path / "a.csv"
    path.write_text("who,what\n\nann,x\r\n\r\n\nbob,y\n\n")
    assert len(read(path, IDS).users) == 2
    assert said() == [("INFO", "4 blank line(s) are passed over.")]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_ids_with_white_space_around_them_are_told(tmp_path, said, suffix):
    ratings = read(write(tmp_path, suffix, {"who": ["ann", " ann", "bob "], "what": ["7", "7", "7"]}), IDS)
    assert ratings.users.tolist() == ["ann", " ann", "bob "]
    ((level, text),) = said()
    assert level == "WARNING"
    assert text == (
        "2 id(s) of column 'who' have white space around them, such as ' ann', and count as written; 1 of them are "
        "also there without it."
    )


def test_items_with_several_titles_and_empty_parts_are_told(spark, said):
    folder = spark(".csv", COLUMNS, COLUMNS)
    (folder / "part-00000-4f6c-c000.csv").write_bytes(b"")
    read(folder)
    assert said() == [
        ("INFO", "1 part(s) are empty."),
        ("INFO", "1 item(s) have several titles, such as item 8: the first counts."),
    ]
