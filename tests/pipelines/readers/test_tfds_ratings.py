"""TFDS sets: one made here, and one whose archive is not to be had."""

import time
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow_datasets as tfds

from pipelines import download
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.readers import tfds_ratings

ROWS = [
    {"user_id": user, "movie_id": item, "user_rating": 3.5, "timestamp": 100 - user, "movie_title": f"Film {item}"}
    for user in range(1, 5)
    for item in range(12, 4, -1)
]
URL = "http://files.example/gdns_reader_archive.txt"


class GdnsReaderRatings(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "user_id": np.str_,
            "movie_id": np.str_,
            "user_rating": np.float32,
            "timestamp": np.int64,
            "movie_title": np.str_,
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(ROWS[:20]), "test": self._generate_examples(ROWS[20:])}

    def _generate_examples(self, rows):
        for key, row in enumerate(rows):
            yield key, row | {"user_id": str(row["user_id"]), "movie_id": str(row["movie_id"])}


class GdnsReaderNested(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        inner = {"customer": np.int32, "product_id": np.str_, "tags": tfds.features.Sequence(np.int64)}
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict({"data": tfds.features.FeaturesDict(inner), "other": np.str_}),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for key, (user, item) in enumerate([(2, "b"), (1, "b"), (1, "a")]):
            yield key, {"data": {"customer": user, "product_id": item, "tags": [1, 2]}, "other": ""}


class GdnsReaderDownload(GdnsReaderRatings):
    url_infos = {URL: tfds.download.checksums.UrlInfo(5, "0" * 64, "gdns_reader_archive.txt")}  # noqa: RUF012

    def _split_generators(self, dl_manager):
        dl_manager.download(URL)
        return super()._split_generators(dl_manager)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError("Network is unreachable")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def read(name, folder, **columns):
    return tfds_ratings.read(folder, DataConfig(dataset=f"tfds:{name}", data_dir=str(folder), **columns))


def test_rows_of_all_splits_in_a_canonical_order(tmp_path):
    expected = sorted((row["user_id"], row["timestamp"], row["movie_id"]) for row in ROWS)
    for _ in range(2):  # prepared by the first, found by the second
        ratings = read("gdns_reader_ratings", tmp_path)
        rows = zip(ratings.users.tolist(), ratings.timestamps.tolist(), ratings.items.tolist(), strict=True)
        assert list(rows) == expected
    assert ratings.ratings.dtype == np.float32
    assert set(ratings.ratings.tolist()) == {3.5}
    assert ratings.titles == {item: f"Film {item}" for item in range(5, 13)}


def test_nothing_is_printed_on_standard_output(tmp_path, capsys):
    read("gdns_reader_ratings", tmp_path)
    assert capsys.readouterr().out == ""


def test_feature_that_only_a_flag_can_name(tmp_path):
    with pytest.raises(InputError, match=r"no feature 'user_id' for `user_column` among \['data/customer'"):
        read("gdns_reader_nested", tmp_path)
    ratings = read("gdns_reader_nested", tmp_path, user_column="data/customer")
    assert (ratings.users.tolist(), ratings.items.tolist()) == ([1, 1, 2], ["a", "b", "b"])
    assert (ratings.ratings, ratings.timestamps, ratings.titles) == (None, None, {})
    with pytest.raises(InputError, match="'stars' for `rating_column`"):
        read("gdns_reader_nested", tmp_path, user_column="data/customer", rating_column="stars")


@pytest.mark.parametrize("name", ["movielens/1m-ratings", "gdns_reader_download"])
def test_no_network_is_an_error_at_once(tmp_path, name):
    start = time.monotonic()
    with pytest.raises(InputError, match="Network is unreachable") as raised:
        read(name, tmp_path)
    assert time.monotonic() - start < 5
    assert f"into {tmp_path}" in str(raised.value)
    assert ("ml-1m.zip" if "/" in name else "gdns_reader_archive.txt") in str(raised.value)


def test_archive_by_hand_is_used_and_its_checksum_checked(tmp_path, monkeypatch):
    (tmp_path / "gdns_reader_archive.txt").write_bytes(b"bytes")
    with pytest.raises(InputError, match="wrong checksum"):
        read("gdns_reader_download", tmp_path)
    right = tfds.download.checksums.compute_url_info(tmp_path / "gdns_reader_archive.txt")
    monkeypatch.setattr(GdnsReaderDownload, "url_infos", {URL: right})
    assert len(read("gdns_reader_download", tmp_path).users) == len(ROWS)


def test_archive_in_the_download_folder_where_data_dir_is_empty(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(InputError, match=str(download.cache_folder())):
        tfds_ratings.read(None, DataConfig(dataset="tfds:gdns_reader_download"))


@pytest.mark.parametrize("name", ["no_such_set", "movielens/no-such-config"])
def test_no_such_set(tmp_path, name):
    with pytest.raises(InputError, match=r"TFDS cannot open this set .*(not found|no-such-config)"):
        read(name, tmp_path)


@pytest.mark.parametrize("name", ["huggingface:x", "kaggle:x", "huggingface:x/y:1.0.0", "a_b:c/d", "HuggingFace:x"])
def test_code_of_strangers_is_not_loaded_unasked(tmp_path, monkeypatch, name):
    asked = []

    def builder(name, **_):
        asked.append(name)
        raise ImportError("no such set")

    monkeypatch.setattr(tfds, "builder", builder)
    with pytest.raises(InputError, match=r"community set: TFDS would download code of .* and run it.*`tfds_community`"):
        read(name, tmp_path)
    assert not asked
    with pytest.raises(InputError, match="TFDS cannot open this set"):
        tfds_ratings.read(tmp_path, DataConfig(dataset=f"tfds:{name}", tfds_community=True))
    assert asked == [name]


@pytest.mark.parametrize("name", ["../x", "/x.py", "a:b:c", "./x/x.py", "http://x/y.py", "x;y", "é", "x/a=__import__"])
def test_paths_and_whatever_else_are_no_names(tmp_path, name):
    with pytest.raises(InputError, match=r"this is no name of a set|TFDS cannot open this set|a community set"):
        read(name, tmp_path)


def test_versions_are_no_namespaces(tmp_path):
    assert len(read("gdns_reader_ratings:1.0.0", tmp_path).users) == len(ROWS)
