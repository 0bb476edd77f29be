"""Dataset: from DataFrames of every kind, from names, from a split of one's own; what it refuses and how it says so."""

import datetime
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipelines.config import DataConfig
from pipelines.dataset import Dataset
from pipelines.errors import InputError
from pipelines.infer import infer
from pipelines.load import load_dataset
from pipelines.split import leave_one_out

ROWS = pd.DataFrame(
    {
        "user_id": np.repeat([f"u{number}" for number in range(20)], 8),
        "item_id": np.arange(160),
        "stars": np.tile([5, 4, 3, 5, 5, 5, 5, 5], 20),
        "at": np.random.default_rng(0).permutation(160) + 1_600_000_000,
        "title": [f"Film {number}" for number in range(160)],
    }
)
COLUMNS = {"rating": "stars", "timestamp": "at", "title": "title"}


def polars(rows):
    return pytest.importorskip("polars").DataFrame(rows.to_dict("list"))


def arrow(rows):
    return pa.Table.from_pandas(rows)


@pytest.fixture(params=[pd.DataFrame, polars, arrow], ids=["pandas", "polars", "arrow"])
def frame(request):
    """From a pandas DataFrame to the same table as each library has it."""
    return request.param


def test_a_data_frame_is_what_its_csv_is(frame, tmp_path):
    ROWS.to_csv(tmp_path / "a.csv", index=False)
    config = DataConfig(
        dataset="table",
        data_dir=str(tmp_path / "a.csv"),
        user_column="user_id",
        item_column="item_id",
        rating_column="stars",
        timestamp_column="at",
        title_column="title",
        min_rating=5,
        min_user_items=4,
        split_seed=3,
    )
    of_file = load_dataset(config)
    data = Dataset.from_dataframe(frame(ROWS), **COLUMNS, min_rating=5, min_user_items=4, split_seed=3)
    assert data.fingerprint == of_file.fingerprint
    assert data.train.titles.tolist() == of_file.train.titles.tolist()
    assert data.train.timestamps.tolist() == of_file.train.timestamps.tolist()
    assert data.statistics()["#Train"] == 20 * (6 - 2)
    assert data.source == replace(config, dataset="dataframe", data_dir="")


def test_the_index_of_pandas_is_not_looked_at():
    shuffled = ROWS.set_index(np.arange(160)[::-1] % 7)
    assert Dataset.from_dataframe(shuffled).fingerprint == Dataset.from_dataframe(ROWS).fingerprint


def with_column(name, values):
    return ROWS.assign(**{name: values})


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("user_id", pd.Categorical(ROWS["user_id"])),
        ("user_id", ROWS["user_id"].astype(object)),
        ("user_id", ROWS["user_id"].astype("string")),
        ("item_id", pd.Categorical(ROWS["item_id"])),
        ("item_id", ROWS["item_id"].astype("Int32")),
        ("item_id", ROWS["item_id"].astype(np.uint8)),
        ("item_id", ROWS["item_id"].astype(str)),
        ("item_id", ROWS["item_id"].astype(object)),
        ("at", pd.to_datetime(ROWS["at"], unit="s")),
        ("at", pd.to_datetime(ROWS["at"], unit="s", utc=True).dt.tz_convert("Asia/Tokyo")),
        ("at", [datetime.datetime.fromtimestamp(second, datetime.UTC) for second in ROWS["at"].tolist()]),
        ("at", ROWS["at"].astype(float)),
        ("stars", ROWS["stars"].astype("Float64")),
        ("stars", pd.Categorical(ROWS["stars"])),
    ],
)
def test_columns_of_every_type(column, values):
    plain, typed = (
        Dataset.from_dataframe(rows, **COLUMNS, min_user_items=3) for rows in (ROWS, with_column(column, values))
    )
    assert typed.fingerprint == plain.fingerprint
    assert typed.train.timestamps.tolist() == plain.train.timestamps.tolist()


def test_categories_of_polars(tmp_path):
    rows = polars(ROWS)
    pl = pytest.importorskip("polars")
    rows = rows.with_columns(pl.col("user_id").cast(pl.Categorical), pl.from_epoch("at").alias("at"))
    assert Dataset.from_dataframe(rows, **COLUMNS).fingerprint == Dataset.from_dataframe(ROWS, **COLUMNS).fingerprint


def holed(name, row, value):
    values = ROWS[name].astype(object)
    values[row] = value
    return with_column(name, values)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (holed("user_id", 4, None), "user_id None in row 5 of the data is not an id"),
        (holed("user_id", 4, ""), "user_id '' in row 5"),
        (holed("user_id", 4, 7), "user_id 7 in row 5 of the data is of type int, where the rows before hold str"),
        (holed("item_id", 4, "x"), "item_id 'x' in row 5 of the data is of type str, where the rows before hold int"),
        (holed("item_id", 4, -1), "item_id -1 in row 5"),
        (holed("item_id", 4, [1]), "item_id \\[1\\] in row 5 of the data is of type list"),
        (with_column("item_id", ROWS["item_id"] * 1.0), "'item_id' holds double numbers; ids are integers or text"),
        (
            with_column("item_id", [object() for _ in range(160)]),
            "item_id <object object at 0x.*> in row 1 of the data cannot be read",
        ),
        (with_column("item_id", [{"a": 1}] * 160), "'item_id' of type struct"),
        (holed("stars", 4, float("nan")), "stars None in row 5|stars nan in row 5"),
        (with_column("stars", ["many"] * 160), "'stars' of type .*string cannot be read as a finite number"),
        (holed("at", 4, None), "at None in row 5"),
        (with_column("at", ["soon"] * 160), "'at' of type .*string cannot be read as a finite number of seconds"),
        (with_column("at", pd.to_datetime(ROWS["at"], unit="s").where(ROWS.index != 4)), "at None in row 5"),
        (ROWS[:0], "empty: there are no rows"),
        (ROWS.drop(columns="item_id").assign(what=1), r"no column of \['user_id', .*'what'\] is plainly the `item`"),
        (ROWS.assign(other=1).rename(columns={"other": "item_id"}), "'item_id' 2 times.* Rename or drop"),
        (pd.DataFrame([[1, 2]]), r"no column of \[0, 1\] is plainly the `user`\. Set `user` to"),
        ({"user_id": [1]}, r"a builtins\.dict is not a DataFrame"),
    ],
)
def test_what_cannot_be_used_names_column_and_row(rows, says):
    with pytest.raises(InputError, match=rf"the DataFrame: .*({says})"):
        Dataset.from_dataframe(rows, **COLUMNS)


def test_lazy_frame_must_be_collected():
    with pytest.raises(InputError, match=r"LazyFrame is not a DataFrame.*\.collect\(\)"):
        Dataset.from_dataframe(polars(ROWS).lazy())


def test_arguments_are_named_as_they_were_given(tmp_path):
    with pytest.raises(InputError, match="`item` and `title` both name 'title'"):
        Dataset.from_dataframe(ROWS, item="title", title="title")
    with pytest.raises(InputError, match="there is no setting `min_user_item`; did you mean 'min_user_items'"):
        Dataset.from_dataframe(ROWS, min_user_item=3)
    with pytest.raises(InputError, match="there is no setting `planted_users`"):
        Dataset.from_dataframe(ROWS, planted_users=3)
    with pytest.raises(InputError, match=r"`path` is empty\. Set it to a \.csv"):
        Dataset.load("table")
    with pytest.raises(InputError, match=r"no such file or folder\. Set `path` to"):
        Dataset.load("table", tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match=r"`path`=a\.csv is given, but `name`=planted .* Leave out `name`"):
        Dataset.load("planted", "a.csv")
    with pytest.raises(InputError, match=r"`name`=plantd is not known; did you mean 'planted'\?"):
        Dataset.load("plantd")
    with pytest.raises(InputError, match="there is no setting `user_colum`; did you mean 'user_column'"):
        Dataset.load("table", "a.csv", user_colum="u")


def test_load_and_save(tmp_path):
    config = DataConfig(planted_users=40, planted_items=150, planted_seed=2)
    data = Dataset.load("planted", planted_users=40, planted_items=150, planted_seed=2)
    assert data.fingerprint == load_dataset(config).fingerprint
    assert data.source == infer(config)
    data.save(tmp_path / "a.npz")
    again = Dataset.load("saved", tmp_path / "a.npz")
    assert again.fingerprint == data.fingerprint
    assert again.source == infer(DataConfig(dataset="saved", data_dir=str(tmp_path / "a.npz")))


def test_it_is_short_when_shown():
    data = Dataset.from_dataframe(ROWS, user="user_id")
    assert repr(data) == str(data) == "<Dataset dataframe: 20 users, 160 items, 160 interactions>"


@pytest.fixture
def parts():
    """Each user's last row is for test, the one before for validation: the split that leave_one_out makes of them."""
    place = ROWS.groupby("user_id").cumcount()
    return {"train": ROWS[place < 6], "valid": ROWS[place == 6], "test": ROWS[place == 7]}


def test_own_split_is_kept(frame, parts):
    data = Dataset.from_split(**{name: frame(rows) for name, rows in parts.items()}, title="title", timestamp="at")
    assert data.train.user_ids.tolist() == [f"u{number}" for number in range(20)]
    raw = data.train.item_ids
    for user in range(20):
        assert raw[data.train.of(user)].tolist() == list(range(8 * user, 8 * user + 6))
        assert (*raw[data.valid.of(user)], *raw[data.test.of(user)]) == (8 * user + 6, 8 * user + 7)
        negatives = raw[data.test.negatives[user]]
        assert len(set(negatives.tolist()) - set(range(8 * user, 8 * user + 8))) == 100
    assert data.train.titles[data.valid.items[3]] == "Film 30"
    assert data.train.timestamps.tolist() == parts["train"]["at"].tolist()
    assert data.train.items.dtype == data.valid.items.dtype == data.test.negatives.dtype == np.int32


def test_negatives_are_those_of_leave_one_out(parts):
    data = Dataset.from_split(**parts, split_seed=5)
    # The same interactions, items numbered alike, and times that hold out the same two.
    whole = replace(data.all_interactions(), timestamps=np.tile([0, 0, 0, 0, 0, 0, 1, 2], 20))
    again = leave_one_out("dataframe", whole, 5)
    assert again.fingerprint == data.fingerprint


def test_rows_of_the_held_out_may_come_in_any_order(parts):
    shuffled = parts | {"valid": parts["valid"][::-1], "test": parts["test"].sample(frac=1, random_state=1)}
    data, other = Dataset.from_split(**parts), Dataset.from_split(**shuffled)
    assert data.train.item_ids[data.test.items].tolist() == other.train.item_ids[other.test.items].tolist()
    assert data.train.item_ids[data.valid.items].tolist() == other.train.item_ids[other.valid.items].tolist()


def test_ids_are_text_in_all_parts_where_they_are_in_one(parts):
    def as_text(rows):
        return rows.assign(item_id=rows["item_id"].astype(str).replace("6", "six"))

    data = Dataset.from_split(parts["train"], as_text(parts["valid"]), parts["test"])
    assert data.train.item_ids[data.train.of(0)].tolist() == ["0", "1", "2", "3", "4", "5"]
    assert data.train.item_ids[data.valid.items[:2]].tolist() == ["six", "14"]


def change(parts, **changes):
    return parts | {name: edit(parts[name]) for name, edit in changes.items()}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"valid": lambda rows: rows.assign(user_id="new")}, "no user of training has an item in validation.*`train`"),
        ({"test": lambda rows: rows.assign(user_id="new")}, "no user of training has an item in test.*`train`"),
        ({"train": lambda rows: rows.assign(user_id="new")}, "no user of training has an item in validation"),
        ({"test": lambda rows: rows.assign(item_id=rows["item_id"] - 1)}, "user u0 has item 6 in two of .* 19 more"),
        ({"valid": lambda rows: rows.replace(6, 2)}, "user u0 has item 2 in two of the DataFrames; there are 0 more"),
        ({"valid": lambda rows: rows.drop(columns="item_id")}, "`valid`: no column named 'item_id'"),
        ({"valid": lambda rows: rows.assign(item_id=None)}, "`valid`: item_id None in row 1"),
    ],
)
def test_own_split_that_is_none(parts, changes, says):
    with pytest.raises(InputError, match=says):
        Dataset.from_split(**change(parts, **changes))


def test_own_split_may_hold_out_several_items_of_some_users(parts, caplog):
    more = parts["valid"][:3].assign(item_id=[500, 501, 502], title="New")
    new = parts["test"][:2].assign(user_id="new", item_id=[600, 7])
    changed = change(
        parts,
        valid=lambda rows: pd.concat([rows[:8], more, more[:1]]),
        test=lambda rows: pd.concat([rows[2:], new]),
    )
    data = Dataset.from_split(**changed, title="title")
    raw = data.train.item_ids
    assert "new" not in data.train.user_ids
    assert 600 not in raw
    assert data.valid.users.tolist() == list(range(8))
    assert data.test.users.tolist() == list(range(2, 20))
    assert [raw[data.valid.of(user)].tolist() for user in (0, 2, 3, 9)] == [[6, 500], [22, 502], [30], []]
    for user in range(8):
        theirs = {*range(8 * user, 8 * user + 8), *([500 + user] if user < 3 else [])}
        assert not set(raw[data.valid.negatives[user]].tolist()) & theirs
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("1 user(s), the first of them new, have no row in the DataFrame `train`")
    assert "with 0 row(s) of `valid` and 2 of `test`" in said[0]
    assert said[1] == "The DataFrame `valid`: dropped 1 repeats of a user and item."
    assert said[2].startswith("Of 20 users 12 have no item in validation and 2 none in test")
    assert "11 of 11 validation items and 18 of 18 test items" in said[3]
    assert data.all_interactions().num_interactions == 120 + 11 + 18


def test_repeats_in_training_count_once_and_are_told(parts, caplog):
    repeated = change(parts, train=lambda rows: pd.concat([rows, rows[:5]]))
    assert Dataset.from_split(**repeated).fingerprint == Dataset.from_split(**parts).fingerprint
    assert [record.getMessage() for record in caplog.records] == [
        "The DataFrame `train`: dropped 5 repeats of a user and item."
    ]
