"""Exports to an object store, which is played by a file system in memory."""

from pathlib import Path

import fsspec
import numpy as np
import pytest
import tensorflow as tf
from fsspec.implementations.memory import MemoryFileSystem

from gdns_tf.serving.export import export_model
from gdns_tf.serving.versions import check_export_dir, new_version, remove_superseded
from pipelines.errors import InputError
from pipelines.paths import as_path

MODEL = "s3://bucket/models/gdns"


class Store(MemoryFileSystem):
    """Remembers what was written in which order; a name in `refused` cannot be written."""

    protocol = "s3"
    store = {}  # noqa: RUF012 (as in the class above, it is shared on purpose)
    pseudo_dirs = [""]  # noqa: RUF012
    written = []  # noqa: RUF012
    refused = ""

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(str(path).removeprefix("s3://"))

    def open(self, path, mode="rb", **options):
        if "w" in mode:
            name = str(path).rpartition("/")[2]
            if name == Store.refused:
                raise RuntimeError("AccessDenied")  # as of botocore, whose errors are no OSErrors
            Store.written.append(name)
        return super().open(path, mode, **options)


@pytest.fixture(autouse=True)
def store():
    former = fsspec.registry.get("s3")
    fsspec.register_implementation("s3", Store, clobber=True)
    Store.store.clear()
    Store.written.clear()
    Store.pseudo_dirs[:] = [""]
    Store.refused = ""
    as_path(MODEL)._backend._get_filesystem.cache_clear()
    yield Store
    fsspec.register_implementation("s3", former or "s3fs.S3FileSystem", clobber=True)
    as_path(MODEL)._backend._get_filesystem.cache_clear()


def write(version=None):
    with new_version(MODEL, version) as (published, folder):
        (folder / "assets").mkdir()
        (folder / "assets/user_ids.txt").write_text("1\n")
        (folder / "saved_model.pb").write_text(published.name)
        (folder / "variables").mkdir()
        (folder / "variables/variables.index").write_text("")
    return str(published)


def test_a_model_comes_back_as_it_was_exported(integer_model, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = export_model(integer_model.factors, integer_model.dataset, MODEL, k=10, export_anyway=True)
    assert str(folder) == f"{MODEL}/1"
    assert store.written[-1] == "saved_model.pb"
    assert list(tmp_path.iterdir()) == []  # not even a folder called `s3:`
    for key, file in store.store.items():
        copy = tmp_path / Path(key).relative_to("/bucket/models/gdns/1")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.getvalue())
    assert (tmp_path / "README.md").read_text().startswith("# gdns, version 1\n")
    users = tf.constant(integer_model.dataset.train.user_ids)
    found, expected = (
        tf.saved_model.load(str(path)).signatures["serving_default"](user_ids=users)
        for path in (tmp_path, integer_model.folder)
    )
    np.testing.assert_array_equal(found["item_ids"], expected["item_ids"])
    np.testing.assert_array_equal(found["scores"], expected["scores"])


def test_numbers_go_on_after_the_highest(store):
    assert [write(), write(7), write()] == [f"{MODEL}/{number}" for number in (1, 7, 8)]
    assert store.store["/bucket/models/gdns/8/saved_model.pb"].getvalue() == b"8"
    for refuse in (lambda: write(7), lambda: check_export_dir(MODEL, 7)):
        with pytest.raises(InputError, match=r"version 7 is there already.*Leave out `version`"):
            refuse()


def test_the_graph_comes_last(store):
    write()
    assert sorted(store.written) == ["saved_model.pb", "user_ids.txt", "variables.index"]
    assert store.written[-1] == "saved_model.pb"


@pytest.mark.parametrize("refused", ["saved_model.pb", "variables.index"])
def test_nothing_is_left_of_a_version_that_could_not_be_copied(store, refused):
    store.refused = refused
    with pytest.raises(InputError, match=rf"{MODEL}/1/.*{refused}: cannot be reached \(RuntimeError: AccessDenied"):
        write()
    assert not store.store


def test_nothing_is_copied_before_the_end(store):
    def fail():
        with new_version(MODEL) as (_, folder):
            (folder / "saved_model.pb").write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not store.written


def test_a_number_that_another_export_took_meanwhile(store):
    def overtaken():
        with new_version(MODEL) as (_, folder):
            (folder / "saved_model.pb").write_text("slow")
            assert write() == f"{MODEL}/1"

    with pytest.raises(InputError, match="version 1 is there already"):
        overtaken()
    assert store.store["/bucket/models/gdns/1/saved_model.pb"].getvalue() == b"1"


def test_old_versions_go_the_graph_first(store, monkeypatch):
    for number in (1, 2, 10):
        write(number)
    with fsspec.open(f"{MODEL}/3/variables/variables.index", "w") as file:  # another export, on its way
        file.write("")
    removed = []
    delete = Store.rm_file
    monkeypatch.setattr(Store, "rm_file", lambda self, path: (removed.append(path), delete(self, path)))
    assert remove_superseded(as_path(f"{MODEL}/10"), 1) == [1, 2]
    assert {path.split("/")[4] for path in store.store} == {"3", "10"}
    assert [path.rpartition("/")[2] for path in removed][0::3] == ["saved_model.pb"] * 2
    assert remove_superseded(as_path(f"{MODEL}/10"), 1) == []


def test_a_store_that_refuses_to_remove(store, monkeypatch, caplog):
    def refuse(self, path):
        raise RuntimeError("AccessDenied")

    for number in (1, 2):
        write(number)
    monkeypatch.setattr(Store, "rm_file", refuse)
    assert remove_superseded(as_path(f"{MODEL}/2"), 1) == []
    assert "could be removed" in caplog.messages[-1]
    assert "AccessDenied" in caplog.messages[-1]
