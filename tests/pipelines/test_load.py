"""From flags to data sets: which reader, which filters, and what is said."""

import numpy as np
import pytest

from pipelines import load
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Ratings
from pipelines.load import format_statistics, load_dataset
from pipelines.readers import READERS, planted, srns


@pytest.fixture
def adjacency(tmp_path):
    """User u of 0 to 9 has the u + 4 items 0, 1, ...; user 98 has the odd items of 300, user 99 the even ones."""
    lines = [f"{user} {' '.join(map(str, range(user + 4)))}\n" for user in range(10)]
    lines += [f"{98 + user} {' '.join(map(str, range(300)[1 - user :: 2]))}\n" for user in (0, 1)]
    path = tmp_path / "adjacency.txt"
    path.write_text("".join(lines))
    return str(path)


def test_planted_is_the_default_and_logs_nothing():
    config, said = DataConfig(planted_users=50, planted_items=200), []
    data = load_dataset(config, said.append)
    assert data.fingerprint == planted.generate(config).fingerprint
    assert data.false_negatives is not None
    assert said == []


def test_filters_split_and_seed_reach_the_data(adjacency):
    def load_with(**changes):
        said = []
        config = DataConfig(dataset="adjacency", data_dir=adjacency, min_user_items=5, **changes)
        return load_dataset(config, said.append), said

    data, said = load_with()
    assert data.name == "adjacency"
    assert data.train.user_ids.tolist() == [*range(1, 10), 98, 99], "user 0 has 4 items only"
    assert data.train.num_items == 300
    assert len(said) == 2
    assert "adjacency.txt: 381 of 385 rows count as positives, of 11 users and 300 items" in said[0]
    assert "no timestamps: the split is random, from `split_seed`=0" in said[1]
    assert (load_with(split_seed=1)[0].test != data.test).any()


@pytest.mark.parametrize("dataset", sorted(READERS))
def test_each_reader_gets_the_path_and_the_flags(dataset, monkeypatch):
    rng = np.random.default_rng(0)

    def read(path, config):
        assert str(path) == "some/where"
        assert config.dataset == dataset
        items = np.concatenate([rng.permutation(200)[:20] for _ in range(30)])
        return Ratings(np.repeat(np.arange(30), 20), items, np.tile([3, 4], 300).astype(np.float32), np.arange(600.0))

    monkeypatch.setitem(READERS, dataset, read)
    said = []
    data = load_dataset(DataConfig(dataset=dataset, data_dir="some/where"), said.append)
    assert data.statistics()["#Train"] == 30 * (10 - 2)
    assert len(said) == 1, "there are timestamps"


def test_tfds_names_reach_tfds(monkeypatch):
    def read_tfds(name, config):
        assert name == "movielens/1m-ratings"
        raise InputError("reached")

    monkeypatch.setattr(load, "read_tfds", read_tfds)
    with pytest.raises(InputError, match="reached"):
        load_dataset(DataConfig(dataset="tfds:movielens/1m-ratings"))


@pytest.mark.parametrize("name", ["ml-10m", "", "tfds:", "ML-1M", "planted "])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(InputError) as error:
        load_dataset(DataConfig(dataset=name))
    for known in ("planted", "srns", "ml-1m", "ml-32m", "adjacency", "inter", "table", "tfds:NAME"):
        assert known in str(error.value)


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
    ("changes", "said"),
    [
        ({"min_rating": 3.0, "planted_seed": 4}, ["`min_rating`=3.0 has no effect on `dataset`=planted."]),
        ({"data_dir": "x", "split_seed": 4}, ["`data_dir`=x has no effect on `dataset`=planted."]),
        (
            {"min_user_items": 9, "min_item_users": 2, "duplicates": "first", "user_column": "u"},
            [f"`{flag}` has no effect" for flag in ("min_user_items", "min_item_users", "duplicates", "user_column")],
        ),
    ],
)
def test_flags_without_effect_are_named(changes, said):
    heard = []
    load_dataset(DataConfig(planted_users=50, planted_items=200, **changes), heard.append)
    assert len(heard) == len(said)
    for line, begin in zip(heard, said, strict=True):
        flag, rest = begin.split(" ", 1)
        assert line.startswith(flag)
        assert rest in line


def test_srns_keeps_its_split_and_says_what_it_ignores(shared_data):
    folder = shared_data / "srns/ml1m"
    said = []
    config = DataConfig(dataset="srns", data_dir=str(folder), min_rating=1.0, split_seed=3, planted_users=9)
    assert load_dataset(config, said.append).fingerprint == srns.read(folder).fingerprint
    assert [line.split("=")[0] for line in said] == ["`min_rating`", "`split_seed`", "`planted_users`"]


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
