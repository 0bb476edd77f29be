"""Object stores, which are memory here: every reader reads what it reads from a local folder."""

import gzip
import io
import pickle
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tensorflow as tf
from etils import epath

from pipelines import paths
from pipelines.atomic import whole, write_text
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.load import load_dataset
from pipelines.paths import RemotePath, as_path, is_within
from pipelines.readers import saved

ROWS = [(user, 8 * user + item) for user in range(20) for item in range(8)]


def put(address: str, content: bytes) -> None:
    fsspec.filesystem("s3").pipe_file(address, content)


def as_zip(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


def as_parquet() -> bytes:
    file = io.BytesIO()
    users, items = zip(*ROWS, strict=True)
    pa.parquet.write_table(pa.table({"user_id": users, "item_id": items}), file)
    return file.getvalue()


CSV = "user_id,item_id\n" + "".join(f"{user},{item}\n" for user, item in ROWS)
PARQUET = as_parquet()
DAT = "".join(f"{user}::{item}::5::{item}\n" for user, item in ROWS).encode()
SRNS = {
    "train.pkl": np.array([[0, 1], [1, 0]]),
    "val.pkl": np.array([[0, 2], [1, 2]]),
    "test.pkl": np.array([[0, 0], [1, 1]]),
    "test_neg.pkl": np.array([[3], [3]]),
    "items.tsv": b"item\tmovie_id\ttitle\tgenres\n" + b"".join(b"%d\t%d\tFilm\t\n" % (i, 70 + i) for i in range(4)),
}


@pytest.mark.parametrize(
    ("dataset", "path", "files"),
    [
        ("table", "a.csv", {"a.csv": CSV.encode()}),
        ("table", "a.csv.gz", {"a.csv.gz": gzip.compress(CSV.encode())}),
        ("table", "a.parquet", {"a.parquet": PARQUET}),
        ("table", "parts", {"parts/_SUCCESS": b"", "parts/part-0.parquet": PARQUET}),
        ("adjacency", "a.txt", {"a.txt": "".join(f"{user} {item}\n" for user, item in ROWS).encode()}),
        ("inter", "x", {"x/x.inter": CSV.replace(",", "\t").replace("_id", "_id:token").encode()}),
        ("ml-1m", "m", {"m/ratings.dat": DAT, "m/movies.dat": b"1::One::Drama\n"}),
        ("ml-1m", "m", {"m/ml-1m.zip": as_zip("ml-1m/ratings.dat", DAT)}),
        ("srns", "s", {f"s/{k}": v if isinstance(v, bytes) else pickle.dumps(v) for k, v in SRNS.items()}),
    ],
)
def test_every_reader_reads_from_a_store_as_from_a_folder(dataset, path, files, store, tmp_path):
    for name, content in files.items():
        put(f"{store}/{name}", content)
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    here = load_dataset(DataConfig(dataset=dataset, data_dir=str(tmp_path / path)))
    assert load_dataset(DataConfig(dataset=dataset, data_dir=f"{store}/{path}")).fingerprint == here.fingerprint


def test_saved_there_and_back(store):
    split = load_dataset(DataConfig(planted_users=40, planted_items=150))
    saved.save(split, f"{store}/a.npz")
    config = DataConfig(dataset="saved", data_dir=f"{store}/a.npz")
    assert load_dataset(config).fingerprint == split.fingerprint


def test_errors_name_the_address_and_the_line(store):
    put(f"{store}/a.csv", b"user_id,item_id\n1,2\n1,\n")
    with pytest.raises(InputError, match=rf"{store}/a\.csv, line 3: item_id ''"):
        load_dataset(DataConfig(dataset="table", data_dir=f"{store}/a.csv"))
    with pytest.raises(InputError, match=rf"{store}/b\.csv: no such file"):
        load_dataset(DataConfig(dataset="table", data_dir=f"{store}/b.csv"))


def test_unknown_scheme():
    with pytest.raises(InputError, match=r"ftp://host/x: ftp:// is not known\. Use gs://, s3://"):
        as_path("ftp://host/x")


def test_missing_package(monkeypatch):
    def missing(scheme):
        raise ImportError("no such module")

    monkeypatch.setattr(paths.fsspec, "get_filesystem_class", missing)
    with pytest.raises(InputError, match=r"without s3fs\. Install it: pip install s3fs"):
        load_dataset(DataConfig(dataset="table", data_dir="s3://bucket/x.csv"))


def test_store_that_cannot_be_reached(store, monkeypatch):
    class EndpointError(Exception):
        """Like botocore's: of no base that it shares with others."""

    def fail(*args, **kwargs):
        raise EndpointError("Could not connect")

    put(f"{store}/a.csv", CSV.encode())
    for method in ("open", "exists", "isdir"):
        with monkeypatch.context() as patch:
            patch.setattr(fsspec.get_filesystem_class("s3"), method, fail)
            with pytest.raises(InputError, match=rf"{store}/a\.csv: cannot be reached \(EndpointError: Could not"):
                load_dataset(DataConfig(dataset="table", data_dir=f"{store}/a.csv"))


def test_google_s_store_without_network():
    if as_path("gs://bucket/x")._backend is not epath.backend.tf_backend:
        pytest.skip("etils reads gs:// otherwise here")
    with pytest.raises(InputError, match=r"gs://no-such-bucket-of-gdns/x\.csv: (cannot be reached|no such file)"):
        load_dataset(DataConfig(dataset="table", data_dir="gs://no-such-bucket-of-gdns/x.csv"))


def test_files_of_tensorflow_serve_as_streams(monkeypatch):
    """gs:// itself cannot be had here; TensorFlow's files in memory have the same, narrow, interface."""
    tf.io.gfile.GFile("ram://x.gz", "wb").write(gzip.compress(b"bytes of a file" * 1000))

    path = as_path("gs://x.gz")
    monkeypatch.setattr(RemotePath, "_path_str", "ram://x.gz")
    with path.open() as file:
        assert file.peek(2)[:2] == b"\x1f\x8b"
        assert gzip.GzipFile(fileobj=file).read() == b"bytes of a file" * 1000
        size = file.seek(0, 2)
        assert size == file.tell() < 1000
        file.seek(-4, 2)
        assert int.from_bytes(file.read(), "little") == 15_000, "gzip ends with the size"
    assert file.closed


def test_local_paths_stay_as_they_were(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert as_path("~/x") == tmp_path / "x"
    assert type(as_path("a/b")) is type(Path("a/b"))


def break_off(path) -> None:
    """Breaks off the writing of a file."""
    with whole(path) as unfinished:
        unfinished.write_text("half")
        assert unfinished.suffix == ".txt"
        raise KeyboardInterrupt


@pytest.mark.parametrize("place", ["store", "tmp_path"])
def test_whole_or_not_at_all(place, request):
    folder = request.getfixturevalue(place)
    with pytest.raises(KeyboardInterrupt):
        break_off(f"{folder}/a.txt")
    assert list(as_path(folder).iterdir() if place == "tmp_path" else fsspec.filesystem("s3").find(folder)) == []
    write_text(f"{folder}/a.txt", "é")
    with pytest.raises(KeyboardInterrupt):
        break_off(as_path(f"{folder}/a.txt"))
    assert [path.name for path in as_path(folder).iterdir()] == ["a.txt"]
    assert as_path(f"{folder}/a.txt").read_bytes() == "é".encode()


def test_a_folder_is_known_however_it_is_written(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    for path in ("a", "./a/", "a/b/../c", "link", str(tmp_path / "a")):
        assert is_within(path, tmp_path / "a"), path
    for path in ("ab", ".", "b"):
        assert not is_within(path, "a"), path
    assert is_within("gs://bucket/run/", "gs://bucket/run")
    assert is_within("gs://bucket/run/refit", "gs://bucket/run")
    assert not is_within("gs://bucket/run2", "gs://bucket/run")
    assert not is_within("gs://bucket/run", "bucket")
