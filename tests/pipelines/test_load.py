"""From flags to data sets: which reader, which filters, and what is said."""

from dataclasses import fields

import numpy as np
import pytest

from pipelines.config import FILTERS, DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Ratings
from pipelines.load import format_statistics, load_dataset
from pipelines.readers import READERS, planted, reader, srns


@pytest.fixture
def adjacency(tmp_path):
    """User u of 0 to 9 has the u + 4 items 0, 1, ...; user 98 has the odd items of 300, user 99 the even ones."""
    lines = [f"{user} {' '.join(map(str, range(user + 4)))}\n" for user in range(10)]
    lines += [f"{98 + user} {' '.join(map(str, range(300)[1 - user :: 2]))}\n" for user in (0, 1)]
    path = tmp_path / "adjacency.txt"
    path.write_text("".join(lines))
    return str(path)


@pytest.fixture
def said(caplog):
    """What the library told its user so far, a list of (level, message)."""
    caplog.set_level("INFO", logger="gdns_tf")
    return lambda: [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "gdns_tf"]


def test_planted_is_the_default_and_says_nothing(said):
    config = DataConfig(planted_users=50, planted_items=200)
    data = load_dataset(config)
    assert data.fingerprint == planted.generate(config).fingerprint
    assert data.false_negatives is not None
    assert said() == []


def test_filters_split_and_seed_reach_the_data(adjacency, said):
    def load_with(**changes):
        return load_dataset(DataConfig(dataset="adjacency", data_dir=adjacency, min_user_items=5, **changes))

    data = load_with()
    assert data.name == "adjacency"
    assert data.train.user_ids.tolist() == [*range(1, 10), 98, 99], "user 0 has 4 items only"
    assert data.train.num_items == 300
    (dropped, kept, random) = said()
    assert dropped == (
        "WARNING",
        f"{adjacency}: dropped 4 row(s), among them all those of 1 user(s) and 0 item(s), for users with fewer than "
        "`min_user_items`=5 items. 1 dropped user(s) are served by the items that they have left.",
    )
    text = f"{adjacency}: 381 of 385 rows count as positives, of 11 users and 300 items."
    assert kept == ("INFO", text)
    assert random == ("WARNING", "There are no timestamps: the split is random, from `split_seed`=0.")
    lines = format_statistics(data).splitlines()
    assert "Dropped: min_user_items  4 rows, 1 users, 0 items" in lines
    assert ("#User served by history", "1") in [tuple(part.strip() for part in line.rsplit(None, 1)) for line in lines]
    assert (load_with(split_seed=1).test.items != data.test.items).any()


@pytest.mark.parametrize("dataset", [*sorted(set(READERS) - {"tfds:"}), "tfds:some/set"])
def test_each_reader_gets_the_path_and_the_settings(dataset, monkeypatch, said):
    rng = np.random.default_rng(0)

    def read(path, config):
        assert str(path) == "some/where"
        assert config.dataset == dataset
        items = np.concatenate([rng.permutation(200)[:20] for _ in range(30)])
        return Ratings(np.repeat(np.arange(30), 20), items, np.tile([3, 4], 300).astype(np.float32), np.arange(600.0))

    monkeypatch.setattr(reader(dataset), "read", read)
    monkeypatch.setattr(reader(dataset), "SETTINGS", ("data_dir", *FILTERS))
    data = load_dataset(DataConfig(dataset=dataset, data_dir="some/where"))
    assert data.statistics()["#Train"] == 30 * (10 - 2)
    assert [level for level, _ in said()] == ["WARNING", "INFO"], "there are timestamps"


@pytest.mark.parametrize("dataset", [*sorted(set(READERS) - {"tfds:"}), "tfds:some/set"])
def test_each_reader_declares_settings_that_there_are(dataset):
    assert set(reader(dataset).SETTINGS) <= {field.name for field in fields(DataConfig)}


@pytest.mark.parametrize("name", ["ml-10m", "tfds:", "ML-1M", "planted:x", "tfds"])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(InputError) as error:
        load_dataset(DataConfig(dataset=name))
    for known in ("planted", "srns", "ml-1m", "ml-32m", "adjacency", "inter", "table", "saved", "tfds:NAME"):
        assert known in str(error.value)


@pytest.mark.parametrize(("name", "near"), [("ml1m", "ml-1m"), ("Tables", "table"), ("plantd", "planted")])
def test_an_unknown_name_suggests_the_nearest(name, near):
    with pytest.raises(InputError, match=rf"`dataset`={name} is not known; did you mean '{near}'\?"):
        load_dataset(DataConfig(dataset=name))


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("srns", r"Set it to the folder with train\.pkl, val\.pkl, test\.pkl, test_neg\.pkl"),
        ("adjacency", "user item item"),
        ("inter", r"\.inter"),
        ("table", r"\.csv, \.tsv or \.parquet"),
    ],
)
def test_a_missing_data_dir_says_what_it_should_be(dataset, message, tmp_path):
    with pytest.raises(InputError, match=f"`data_dir` is empty.*{message}"):
        load_dataset(DataConfig(dataset=dataset))
    with pytest.raises(InputError, match=r"nowhere: no such file or folder\. Set `data_dir` to"):
        load_dataset(DataConfig(dataset=dataset, data_dir=str(tmp_path / "nowhere")))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"min_rating": 3.0, "planted_seed": 4}, ["min_rating"]),
        ({"split_seed": 4}, []),
        (
            {"min_user_items": 2, "min_item_users": 2, "duplicates": "first", "user_column": "u"},
            ["min_user_items", "min_item_users", "duplicates", "user_column"],
        ),
    ],
)
def test_settings_without_effect_are_named(changes, names, said):
    load_dataset(DataConfig(planted_users=50, planted_items=200, **changes))
    assert said() == [("WARNING", f"`{name}`={changes[name]} has no effect on `dataset`=planted.") for name in names]


def test_a_path_for_a_data_set_that_reads_none_is_refused():
    with pytest.raises(InputError, match=r"`data_dir`=a\.csv is given, but .*planted.* Leave out `dataset`"):
        load_dataset(DataConfig(dataset="planted", data_dir="a.csv"))


def test_min_user_items_must_leave_something_to_learn_from(adjacency):
    with pytest.raises(InputError, match=r"`min_user_items`=2 .* Set `min_user_items` to 3 or more\."):
        load_dataset(DataConfig(dataset="adjacency", data_dir=adjacency, min_user_items=2))


def test_min_rating_without_ratings_is_told(adjacency, said):
    load_dataset(DataConfig(dataset="adjacency", data_dir=adjacency, min_rating=3))
    assert ("WARNING", "`min_rating`=3 has no effect: there are no ratings.") in said()


def test_a_split_of_data_frames_lies_in_no_file():
    with pytest.raises(InputError, match=r"made of a DataFrame\. Hand on the Dataset itself"):
        load_dataset(DataConfig(dataset="dataframe"))


def test_srns_keeps_its_split_and_says_what_it_ignores(shared_data, said):
    folder = shared_data / "srns/ml1m"
    config = DataConfig(dataset="srns", data_dir=str(folder), min_rating=1.0, split_seed=3, planted_users=9)
    assert load_dataset(config).fingerprint == srns.read(folder).fingerprint
    assert [line.split("=")[0] for _, line in said()] == ["`min_rating`", "`split_seed`", "`planted_users`"]


def test_statistics_are_an_aligned_table(shared_data):
    data = srns.read(shared_data / "srns/ml1m")
    lines = format_statistics(data).splitlines()
    assert len({len(line) for line in lines}) == 1
    table = {line.rsplit(None, 1)[0].strip(): line.rsplit(None, 1)[1] for line in lines}
    assert table == {
        "Dataset": "srns",
        "#User": "6,028",
        "#Item": "3,533",
        "#Train": "563,032",
        "#Valid": "6,028",
        "#Test": "6,028",
        "Density": "2.70%",  # 575,088 of 6,028 x 3,533
        "#Valid not in training": "5",
        "#Test not in training": "13",
        "Fingerprint": data.fingerprint,
    }


def test_the_sizes_are_told_once(adjacency):
    """Of what is generated before it is, and of what is split by time before users can be left out."""
    told = []
    config = DataConfig(dataset="adjacency", data_dir=adjacency)
    for each in (DataConfig(planted_users=50, planted_items=200), config):
        train = load_dataset(each, lambda *sizes: told.append(sizes)).train
        assert told.pop() == (train.num_users, train.num_items)
        assert not told

    def refuse(*_sizes):
        raise InputError("too many")

    with pytest.raises(InputError, match="too many"):
        load_dataset(DataConfig(planted_items=1), refuse)
