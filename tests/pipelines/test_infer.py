"""What a file or folder is, where nobody says so; and that nothing is guessed that is not plain."""

import zipfile
from dataclasses import replace

import pandas as pd
import pytest

from pipelines.config import DataConfig
from pipelines.dataset import Dataset
from pipelines.errors import InputError
from pipelines.infer import infer
from pipelines.load import load_dataset
from pipelines.readers import saved

STARS = "1::7::5::100\n1::8::4::101\n"


def of(path, **settings) -> DataConfig:
    return infer(DataConfig(data_dir=str(path), **settings))


@pytest.fixture
def said(caplog):
    caplog.set_level("INFO", logger="gdns_tf")
    return lambda: [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "gdns_tf"]


def write(path, content=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def zipped(path, member):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, "x")
    return path


@pytest.mark.parametrize(
    ("dataset", "make"),
    [
        ("saved", lambda folder: write(folder / "a.npz")),
        ("inter", lambda folder: write(folder / "a.inter")),
        ("inter", lambda folder: write(folder / "a.inter").parent),
        ("srns", lambda folder: write(folder / "train.pkl").parent),
        ("ml-1m", lambda folder: write(folder / "ratings.dat", STARS)),
        ("ml-1m", lambda folder: write(folder / "ratings.dat", STARS).parent),
        ("ml-1m", lambda folder: write(folder / "ml-1m/ratings.dat", STARS).parent.parent),
        ("ml-1m", lambda folder: write(folder / "ml-1m.zip").parent),
        ("ml-1m", lambda folder: zipped(folder / "download.zip", "ml-1m/ratings.dat")),
        ("ml-100k", lambda folder: write(folder / "u.data", "1\t7\t5\t100\n").parent),
        ("ml-25m", lambda folder: write(folder / "ml-25m/ratings.csv", "userId,movieId,rating,timestamp\n")),
        ("ml-25m", lambda folder: write(folder / "ml-25m/ratings.csv", "userId,movieId,rating,timestamp\n").parent),
        ("adjacency", lambda folder: write(folder / "a.txt", "1 7 8\n\n2 7\n")),
        ("adjacency", lambda folder: write(folder / "a", "1 7 8 9 10\n")),
        ("table", lambda folder: write(folder / "ratings.csv", "userId,movieId,rating,timestamp\n")),
        ("table", lambda folder: write(folder / "a.TSV", "user\titem\n")),
        ("table", lambda folder: write(folder / "part-1.csv", "user,item\n").parent),
    ],
)
def test_each_kind_is_told_by_how_it_looks(tmp_path, dataset, make):
    assert of(make(tmp_path)).dataset == dataset


@pytest.mark.parametrize(
    ("make", "seen"),
    [
        (lambda folder: write(folder / "a.txt"), "an empty file"),
        (lambda folder: write(folder / "a.txt", "\n\n"), "a file of blank lines"),
        (lambda folder: write(folder / "a.txt", "1 7\n1 8\n2 7\n"), "text that begins with '1 7'"),  # pairs, or not?
        (lambda folder: write(folder / "a.json", '{"user": 1}\n'), """text that begins with '{"user": 1}'"""),
        (lambda folder: write(folder / "a.xls", bytes(range(99))), "a file that is not text"),
        (lambda folder: folder, r"a folder of \[\]"),
        (lambda folder: write(folder / "notes.md", "x").parent, r"a folder of \['notes.md'\]"),
        (lambda folder: zipped(folder / "a.zip", "ml-10M100K/ratings.dat"), "a file that is not text"),
    ],
)
def test_what_is_not_plain_is_refused_and_what_was_seen_is_told(tmp_path, make, seen):
    path = make(tmp_path)
    with pytest.raises(InputError, match=rf"it is not plain how to read this: {seen}\. Set `dataset` to") as raised:
        of(path)
    assert raised.value.path == str(path)


def test_several_releases_in_a_folder_are_not_plain(tmp_path):
    write(tmp_path / "ml-1m.zip")
    write(tmp_path / "ml-20m.zip")
    with pytest.raises(InputError, match=r"a folder of \['ml-1m.zip', 'ml-20m.zip'\]"):
        of(tmp_path)


def test_a_missing_path_never_becomes_the_planted_set(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        of(tmp_path / "clicks.csv")
    assert infer(DataConfig()).dataset == "planted"


def test_columns_of_a_table_are_named_in_the_settings_and_told(tmp_path, said):
    path = write(tmp_path / "a.csv", "when,userId,Product-ID,Rating,date,Title\n")
    found = of(path)
    columns = (found.user_column, found.item_column, found.rating_column, found.timestamp_column, found.title_column)
    assert columns == ("userId", "Product-ID", "Rating", "date", "Title")
    ((level, text),) = said()
    assert level == "INFO"
    for each in ("`dataset`=table", "`user_column`=userId", "`timestamp_column`=date", "below `min_rating`=4"):
        assert each in text
    assert infer(found) == found
    path.unlink()  # what is settled is not looked at again
    assert infer(found) == found


def test_columns_that_are_given_stay(tmp_path):
    path = write(tmp_path / "a.csv", "user,customer_id,item,rating,score,ts\n")
    found = of(path, user_column="customer_id", rating_column="score")
    assert (found.user_column, found.item_column, found.rating_column) == ("customer_id", "item", "score")


def test_a_table_that_is_called_one_is_read_as_before(tmp_path, said):
    path = write(tmp_path / "a.csv", "user_id,item_id,customer_id,rating,ts\n")
    found = of(path, dataset="table")
    assert (found.user_column, found.item_column) == ("user_id", "item_id")
    assert not found.rating_column + found.timestamp_column
    assert [text.partition(": ")[2] for _, text in said()] == [
        "column 'rating' is not read: name it as `rating_column`, or leave out `dataset`.",
        "column 'ts' is not read: name it as `timestamp_column`, or leave out `dataset`.",
    ]
    other = write(tmp_path / "b.csv", "visitorid,itemid,ts\n")
    found = of(other, dataset="table")
    assert (found.user_column, found.item_column, found.timestamp_column) == ("visitorid", "itemid", "ts")


def test_settings_of_before_columns_could_be_left_open_are_no_change(tmp_path):
    before = DataConfig(dataset="planted", user_column="user_id", item_column="item_id")
    assert infer(DataConfig(dataset="planted")).changes(before) == DataConfig(dataset="planted").changes(before) == []
    assert DataConfig(user_column="u").changes(before) == ["dataset", "user_column"]


@pytest.fixture(scope="module")
def rows():
    """The ratings of 20 users of 15 items each, in times that count down."""
    users = [f"u{user}" for user in range(20) for _ in range(15)]
    return pd.DataFrame({"Customer": users, "sku": range(300), "stars": 5, "created_at": range(1000, 700, -1)})


def test_a_file_a_frame_and_a_name_give_the_same(rows, tmp_path):
    rows.to_csv(tmp_path / "clicks.csv", index=False)
    named = {"user": "Customer", "item": "sku", "rating": "stars", "timestamp": "created_at"}
    wanted = Dataset.from_dataframe(rows, **named)
    found = [
        Dataset.from_dataframe(rows),
        Dataset.load(tmp_path / "clicks.csv"),
        Dataset.load(str(tmp_path / "clicks.csv")),
        Dataset.load(path=tmp_path / "clicks.csv"),
        Dataset.load("table", tmp_path / "clicks.csv"),
    ]
    assert {data.fingerprint for data in found} == {wanted.fingerprint}
    assert found[1].source == replace(wanted.source, dataset="table", data_dir=str(tmp_path / "clicks.csv"))
    saved.save(wanted, tmp_path / "clicks.npz")
    assert Dataset.load(tmp_path / "clicks.npz").fingerprint == wanted.fingerprint


def test_a_path_that_is_mistyped_is_no_unknown_name():
    with pytest.raises(InputError, match=r"clicks\.cvs: no such file or folder"):
        Dataset.load("clicks.cvs")
    with pytest.raises(InputError, match="`name`=ml1m is not known; did you mean 'ml-1m'"):
        Dataset.load("ml1m")


@pytest.mark.parametrize(
    ("scale", "says"),
    [
        (lambda n: n % 2, r"go from 0 to 1, and none reaches `min_rating`=4\. Set `min_rating`=1: then 1 counts"),
        (lambda n: n % 2 * 3 - 1, r"go from -1 to 2, and none .* Set `min_rating` to the lowest .* liked, 2 or less"),
    ],
)
def test_a_scale_that_never_reaches_the_threshold_is_refused(rows, scale, says):
    with pytest.raises(InputError, match=f"the DataFrame: the ratings {says}"):
        Dataset.from_dataframe(rows.assign(stars=scale(rows.index)))


def test_a_longer_scale_is_told(rows, said):
    of_ten = rows.assign(stars=rows.index % 10 + 1)
    Dataset.from_dataframe(of_ten, min_user_items=3)
    told = "go from 1 to 10, and `min_rating`=4 is for 1 to 5: 70% of the rows count as positives. Set `min_rating`"
    assert [text for level, text in said() if level == "WARNING" and told in text]
    Dataset.from_dataframe(of_ten, min_user_items=3, min_rating=5)
    assert sum(told.partition(",")[0] in text for _, text in said()) == 1, "who sets it knows"


def test_nothing_is_said_of_what_is_not_there(said):
    load_dataset(DataConfig(planted_users=30, planted_items=140))
    assert said() == []
