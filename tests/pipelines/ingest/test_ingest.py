"""Ingestion against the reader in memory, id for id: every reader, every way to split, whatever is cut into pieces.

Here tasks run in this process, each pickled as for a worker; `test_ingest_beam.py` has Apache Beam run them.
"""

import itertools
import logging
import os
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
import tensorflow_datasets as tfds

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.ingest import beam, sources
from pipelines.ingest.config import IngestConfig
from pipelines.ingest.order_statistics import order_statistics
from pipelines.ingest.run import ingest
from pipelines.load import load_dataset
from pipelines.notices import notices

NUM_ROWS = 5000


def run_here(tasks, _arguments):
    for task in pickle.loads(pickle.dumps(tasks)):
        task.run()


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # for speed: nobody pulls the plug here
    monkeypatch.setattr(beam, "_run_by_beam", run_here)
    monkeypatch.setattr(sources, "ROWS_A_BUCKET", 2000)
    monkeypatch.setattr(sources, "_BYTES_A_PIECE", 40_000)
    monkeypatch.setattr(sources, "_ROWS_A_PIECE", 1500)


@pytest.fixture(scope="module")
def rows():
    """Rows with repeats, ties in time, rare users and items, grades, and now and then a second title of an item."""
    rng = np.random.default_rng(0)
    table = {
        "user_id": (rng.random(NUM_ROWS) ** 1.5 * 250).astype(int) * 7,
        "item_id": (rng.random(NUM_ROWS) ** 2 * 400).astype(int) * 3 + 5,
        "rating": rng.integers(1, 6, NUM_ROWS),
        "timestamp": (rng.random(NUM_ROWS) ** 0.7 * 1000).astype(int),
    }
    draws = rng.random(NUM_ROWS).tolist()
    both = zip(table["item_id"].tolist(), draws, strict=True)
    titles = [f"Film {item + (draw < 0.01)}" if draw < 0.9 else "" for item, draw in both]
    return pd.DataFrame(table | {"title": titles})


def as_text(rows):
    """User ids that are text in the first rows alone, and item ids with white space around some."""
    users, items = rows["user_id"].astype(str).tolist(), rows["item_id"].astype(str).tolist()
    users[:2000] = [f"u{user}" if int(user) % 2 else user for user in users[:2000]]
    items[3000:] = [f" {item}" if int(item) % 50 == 0 else item for item in items[3000:]]
    return rows.assign(user_id=users, item_id=items)


def write_parts(rows, folder, ending):
    folder.mkdir()
    for number, start in enumerate(range(0, NUM_ROWS, 1700)):
        part = rows.iloc[start : start + 1700]
        if ending == "parquet":
            part.to_parquet(folder / f"part-{number}.parquet", index=False, row_group_size=400)
        else:
            separator = "\t" if ending.startswith("tsv") else ","
            part.to_csv(folder / f"part-{number}.{ending}", index=False, sep=separator)
    return folder


def told(function, *arguments):
    """What a function returns or refuses, and what is told meanwhile."""
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append((record.levelname, record.getMessage()))
    level = notices.level
    notices.addHandler(handler)
    notices.setLevel(logging.INFO)
    try:
        return function(*arguments), messages
    except InputError as error:
        return str(error), messages
    finally:
        notices.removeHandler(handler)
        notices.setLevel(level)


def compare(config, folder, shards=3):
    """Ingests, and checks that it is what the reader in memory gives: data, notices and errors."""
    split, messages = told(load_dataset, config)
    manifest, messages_of_ingestion = told(ingest, config, IngestConfig(output_dir=folder, shards=shards))
    if isinstance(split, str):
        assert manifest == split
        return None
    assert not isinstance(manifest, str), manifest
    assert messages_of_ingestion == messages
    found = load_dataset(DataConfig(dataset="ingested", data_dir=folder)).in_memory()
    train, expected = found.train, split.train
    for mine, theirs in ((train, expected), (train.dropped, expected.dropped)):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            for name in ("offsets", "items", "user_ids", "item_ids"):
                assert getattr(mine, name).tolist() == getattr(theirs, name).tolist(), name
    assert (train.titles is None) == (expected.titles is None)
    assert expected.titles is None or train.titles.tolist() == expected.titles.tolist()
    for mine, theirs in ((found.valid, split.valid), (found.test, split.test)):
        for name in ("users", "offsets", "items", "negatives"):
            assert getattr(mine, name).tolist() == getattr(theirs, name).tolist(), name
    assert manifest.fingerprint == split.fingerprint == found.fingerprint
    assert manifest.filters == expected.filters
    assert (manifest.num_users, manifest.num_items, manifest.num_train) == (
        expected.num_users,
        expected.num_items,
        expected.num_interactions,
    )
    assert {path.name for path in folder.iterdir()} == {
        "ingested.json",
        "users.npz",
        "items.npz",
        *(shard.file for shard in (*manifest.shards, *manifest.dropped_shards)),
    }
    return manifest


SETTINGS = {
    "at random": {},
    "by time stamps": {"timestamp_column": "timestamp", "title_column": "title"},
    "graded, k-core": {
        "rating_column": "rating",
        "timestamp_column": "timestamp",
        "min_rating": 2,
        "min_item_users": 6,
        "min_user_items": 5,
    },
    "ratio": {"split_by": "ratio", "duplicates": "first", "test_share": 0.2},
    "time": {
        "split_by": "time",
        "timestamp_column": "timestamp",
        "title_column": "title",
        "min_user_items": 1,
        "test_share": 0.4,
        "valid_share": 0.4,
    },
    "time, k-core": {
        "split_by": "time",
        "timestamp_column": "timestamp",
        "rating_column": "rating",
        "min_rating": 1,
        "min_item_users": 7,
        "min_user_items": 6,
        "test_share": 0.5,
        "valid_share": 0.3,
    },
    "no repeats": {"duplicates": "error"},
    "nothing left": {"min_user_items": 500},
    "no times": {"split_by": "time"},
    "no such rating": {"rating_column": "rating", "min_rating": 7},
    "short split": {"min_user_items": 2},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_table_under_all_settings(rows, tmp_path, settings):
    table = write_parts(rows, tmp_path / "table", "csv")
    compare(DataConfig(dataset="table", data_dir=table, **settings), tmp_path / "out")


def test_a_table_of_groups_of_rows(rows, tmp_path):
    table = write_parts(rows, tmp_path / "table", "parquet")
    compare(DataConfig(dataset="table", data_dir=table, **SETTINGS["time, k-core"]), tmp_path / "out")


@pytest.mark.parametrize("ending", ["csv", "tsv.gz", "parquet"])
def test_ids_that_are_text_in_some_part(rows, tmp_path, ending):
    table = write_parts(as_text(rows), tmp_path / "table", ending)
    settings = SETTINGS["by time stamps"] | {"min_item_users": 2}
    compare(DataConfig(dataset="table", data_dir=table, **settings), tmp_path / "out")


def test_a_cut_that_drops_users_and_items(rows, tmp_path):
    table = write_parts(rows, tmp_path / "table", "parquet")
    settings = SETTINGS["time"] | {"test_share": 0.6, "valid_share": 0.39}
    manifest = compare(DataConfig(dataset="table", data_dir=table, **settings), tmp_path / "out", shards=0)
    assert manifest.num_dropped_users > 100
    assert len(manifest.shards) == 1


def _adjacency(rows, path):
    lines = [f"{user} {' '.join(map(str, of['item_id']))}" for user, of in rows.groupby("user_id", sort=False)]
    (path / "a.txt").write_text("\n".join(lines))
    return DataConfig(dataset="adjacency", data_dir=path / "a.txt", min_item_users=2)


def _inter(rows, path):
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    (path / "x.inter").write_text(header + "\n" + rows.iloc[:, :4].to_csv(sep="\t", index=False, header=False))
    (path / "x.item").write_text("item_id:token\ttitle:token_seq\n5\tFirst\n8\tSecond\n")
    return DataConfig(dataset="inter", data_dir=path, min_rating=2)


def _movielens(rows, path):
    lines = ["::".join(map(str, row)) for row in rows.iloc[:, :4].itertuples(index=False)]
    with zipfile.ZipFile(path / "ml-1m.zip", "w") as archive:
        archive.writestr("ml-1m/ratings.dat", "\n".join(lines) + "\n")
        archive.writestr("ml-1m/movies.dat", "5::Léon::Crime\n8::B (1995)::Drama\n".encode("latin-1"))
    return DataConfig(dataset="ml-1m", data_dir=path, min_rating=3, split_by="ratio")


class GdnsIngestRows(tfds.core.GeneratorBasedBuilder):
    """Rows of a set that TFDS prepares."""

    VERSION = tfds.core.Version("1.0.0")
    ROWS = ()

    def _info(self):
        features = {"user_id": np.str_, "movie_id": np.int64, "user_rating": np.float32, "timestamp": np.int64}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for key, (user, item, rating, time) in enumerate(self.ROWS):
            names = ("user_id", "movie_id", "user_rating", "timestamp")
            yield key, dict(zip(names, (f"u{user}", item, rating, time), strict=True))


def _tfds(rows, path):
    GdnsIngestRows.ROWS = rows.iloc[:, :4].values.tolist()
    return DataConfig(dataset="tfds:gdns_ingest_rows", data_dir=path, min_rating=2, split_by="time", min_user_items=1)


def _srns(_rows, path):
    rng = np.random.default_rng(0)
    items = np.array([rng.permutation(130) for _ in range(30)])
    users = np.arange(30)
    parts = {"train": np.stack([np.repeat(users, 8), items[:, :8].ravel()], axis=1), "test_neg": items[:, 10:110]}
    parts |= {name: np.stack([users, items[:, 8 + n]], axis=1) for n, name in enumerate(("val", "test"))}
    for name, array in parts.items():
        (path / f"{name}.pkl").write_bytes(pickle.dumps(array))
    return DataConfig(dataset="srns", data_dir=path)


def _saved(rows, path):
    from pipelines.dataset import Dataset

    data = Dataset.from_dataframe(rows, timestamp="timestamp", title="title", split_by="time", min_user_items=2)
    data.save(path / "x.npz")
    return DataConfig(dataset="saved", data_dir=path / "x.npz")


def _planted(_rows, _path):
    return DataConfig(dataset="planted", planted_users=60, planted_items=160, planted_seed=3)


def _inferred(rows, path):
    return DataConfig(data_dir=write_parts(rows, path / "clicks", "csv"))


@pytest.mark.parametrize("write", [_adjacency, _inter, _movielens, _tfds, _srns, _saved, _planted, _inferred])
def test_every_reader(rows, tmp_path, write):
    (tmp_path / "source").mkdir()
    assert compare(write(rows, tmp_path / "source"), tmp_path / "out")


def test_order_statistics_are_those_of_all_parts_together():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=50) * 10.0 ** rng.integers(-300, 300, 50), [0.0, -1.0, 5.0, 5.0, 5.0]])
    parts = [np.sort(part) for part in np.split(values, [0, 7, 30])]
    assert order_statistics(parts, range(len(values))) == np.sort(values).tolist()


BAD = {
    "a time": ("timestamp", "soon"),
    "a user": ("user_id", ""),
    "a number that is no id": ("item_id", str(2**64)),
}


@pytest.mark.parametrize(("column", "value"), BAD.values(), ids=BAD)
def test_a_bad_row_is_named_by_file_and_line(rows, tmp_path, column, value):
    changed = rows.astype(str)
    changed.loc[4000, column] = value
    table = write_parts(changed, tmp_path / "table", "csv")
    config = DataConfig(dataset="table", data_dir=table, timestamp_column="timestamp")
    split, _ = told(load_dataset, config)
    refused, _ = told(ingest, config, IngestConfig(output_dir=tmp_path / "out"))
    assert refused == split
    assert f"part-2.csv, line {4000 - 3400 + 2}: " in refused
    changed.loc[4000, column] = "3"
    write_parts(changed, tmp_path / "good", "csv")
    for path in table.iterdir():
        (tmp_path / "good" / path.name).replace(path)
    again = IngestConfig(output_dir=tmp_path / "out")
    refused, _ = told(ingest, config, again)
    assert "other settings (the files of the source)" in refused
    compare_config = IngestConfig(output_dir=tmp_path / "out", overwrite=True)
    assert ingest(config, compare_config).fingerprint == load_dataset(config).fingerprint


def test_a_missing_value_of_a_parquet_file_is_named_by_its_row_in_all_of_the_data(rows, tmp_path):
    table = write_parts(rows.astype({"item_id": object}), tmp_path / "table", "parquet")
    changed = rows.iloc[1700:3400].astype({"item_id": "Int64"})
    changed.iloc[1000, 1] = None
    changed.to_parquet(table / "part-1.parquet", index=False, row_group_size=400)
    compare(DataConfig(dataset="table", data_dir=table), tmp_path / "out")


class Killed(BaseException):
    pass


@pytest.mark.parametrize("tasks_before", [2, 9, 20])
def test_what_was_broken_off_goes_on_where_it_was(rows, tmp_path, monkeypatch, tasks_before):
    table = write_parts(rows, tmp_path / "table", "csv")
    config = DataConfig(dataset="table", data_dir=table, **SETTINGS["time, k-core"])
    left, run = itertools.count(), []

    def run_some(tasks, _arguments):
        for task in tasks:
            if next(left) == tasks_before:
                raise Killed
            run.append((task.stage, task.number))
            task.run()

    monkeypatch.setattr(beam, "_run_by_beam", run_some)
    out = IngestConfig(output_dir=tmp_path / "out", shards=3)
    with pytest.raises(Killed):
        ingest(config, out)
    assert not (tmp_path / "out/ingested.json").exists()
    with pytest.raises(InputError, match=r"no ingested\.json"):
        load_dataset(DataConfig(dataset="ingested", data_dir=tmp_path / "out"))
    with pytest.raises(InputError, match=r"other settings \(`min_user_items`"):
        ingest(DataConfig(**{**vars(config), "min_user_items": 8}), out)
    manifest = ingest(config, out)
    assert len(run) == len(set(run)), "no task is done twice"
    assert manifest.fingerprint == load_dataset(config).fingerprint
    assert not (tmp_path / "out/unfinished").exists()


def test_folders_of_something_else_are_left_alone(rows, tmp_path):
    table = write_parts(rows, tmp_path / "table", "csv")
    config = DataConfig(dataset="table", data_dir=table)
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"holds other things, such as thesis\.tex"):
            ingest(config, IngestConfig(output_dir=out, overwrite=overwrite))
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]
    with pytest.raises(InputError, match="lies within the data"):
        ingest(config, IngestConfig(output_dir=table / "out"))
    first = ingest(config, IngestConfig(output_dir=tmp_path / "new", shards=4))
    with pytest.raises(InputError, match=r"holds an ingested data set already\. Set `overwrite`"):
        ingest(config, IngestConfig(output_dir=tmp_path / "new"))
    again = ingest(config, IngestConfig(output_dir=tmp_path / "new", shards=2, overwrite=True))
    assert again.fingerprint == first.fingerprint
    assert len(list((tmp_path / "new").glob("users-*"))) == 2
    with pytest.raises(InputError, match="`output_dir` is not set"):
        IngestConfig()


def test_workers_that_do_not_reach_the_folder_are_told(rows, tmp_path, monkeypatch):
    table = write_parts(rows, tmp_path / "table", "csv")
    monkeypatch.setattr(beam, "_run_by_beam", lambda tasks, arguments: None)
    with pytest.raises(InputError, match=r"a task of stage partition left no result.* Set `output_dir` to a place"):
        ingest(DataConfig(dataset="table", data_dir=table), IngestConfig(output_dir=tmp_path / "out"))


def test_to_and_from_a_store(rows, tmp_path, store):
    config = DataConfig(dataset="table", data_dir=write_parts(rows, tmp_path / "table", "csv"), split_by="ratio")
    manifest = ingest(config, IngestConfig(output_dir=f"{store}/out", shards=2))
    assert manifest.fingerprint == load_dataset(config).fingerprint
