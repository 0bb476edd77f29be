"""An export, a saved model and a saved data set, killed before every operation and on a disk that fills up.

Nothing half-written is ever seen, what was there before is there until what comes is whole, and the same call then ends
as if nothing had been. Of TensorFlow's own writing a stand-in is seen, by files of the same names.
"""

import errno
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import tensorflow as tf
from crash_points import Moments, contents, watching
from planted_runs import PLANTED, make_run, random_factors

import gdns_tf
from gdns_tf.serving import export as export_module
from gdns_tf.serving.contract import SIGNATURES
from gdns_tf.serving.export import export_run
from pipelines.dataset import with_source
from pipelines.errors import StorageError
from pipelines.load import load_dataset

SPLIT = load_dataset(PLANTED)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    def save(_model, folder, signatures):
        for name in ("assets/user_ids.txt", "variables/variables.index", "saved_model.pb"):
            Path(folder, name).parent.mkdir(exist_ok=True)
            Path(folder, name).write_text(name)

    monkeypatch.setattr(tf.saved_model, "save", save)
    monkeypatch.setattr(
        export_module, "served_model", lambda *args: SimpleNamespace(signatures=dict, contract=SIGNATURES.values)
    )
    monkeypatch.setattr(os, "fsync", lambda file: None)


@pytest.fixture(scope="module")
def a_run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("a") / "run", PLANTED, SPLIT, random_factors(SPLIT))


def versions(folder):
    """Number of each version that a server would see -> the names of its files."""
    return {path.name: set(contents(path)) for path in folder.iterdir() if path.name.isdigit()}


def what(name, a_run, folder):
    """What is done, and what it comes to; something of the kind was done before."""
    if name == "export":
        folder.mkdir(parents=True)
        export_run(a_run, folder, export_anyway=True)
        (folder / "notes").mkdir()
        again = lambda: export_run(a_run, folder, export_anyway=True, keep_versions=1)  # noqa: E731
        return again, lambda: [sorted(max(versions(folder).items())[1]), len(versions(folder))]
    if name == "model":
        model = gdns_tf.load(a_run, with_source(SPLIT, PLANTED))
        model.save(folder)
        (folder / "former").touch()
        return lambda: model.save(folder, overwrite=True), lambda: sorted(contents(folder))
    folder.parent.mkdir(parents=True)
    data = with_source(SPLIT, PLANTED)
    data.save(folder)
    return lambda: data.save(folder), folder.read_bytes


def check_seen(name, folder, whole):
    """What is there in the middle can be used."""
    if name == "export":
        seen = versions(folder)
        assert seen
        assert all(names == whole for names in seen.values())
    elif name == "model":
        assert gdns_tf.load(folder, with_source(SPLIT, PLANTED)).factors.num_users == 60
    else:
        assert gdns_tf.Dataset.load("saved", folder).fingerprint == SPLIT.fingerprint


@pytest.mark.parametrize("name", ["export", "model", "data"])
def test_killed_before_every_operation(name, a_run, tmp_path):
    folder = tmp_path / "place/it"
    again, result = what(name, a_run, folder)
    (folder.parent / "notes.txt").write_text("mine")
    whole = versions(folder)["1"] if name == "export" else None
    moments = Moments(folder.parent, tmp_path / "copies")
    with moments.taken():
        again()
    expected, left = result(), hidden(folder.parent)
    assert len(moments.operations) > {"export": 15, "model": 20, "data": 2}[name]
    for operation, copy in moments.states:
        moments.travel_to(copy)
        check_seen(name, folder, whole)
        again()
        assert result() == expected, operation
        assert hidden(folder.parent) == left == [], operation
        assert (folder.parent / "notes.txt").read_text() == "mine"
    print(f"\nkills, {name}: {len(moments.operations)} operations, {len(moments.states)} states")


def hidden(folder):
    return [path.name for path in folder.rglob(".*")]


@pytest.mark.parametrize("name", ["export", "model", "data"])
def test_a_disk_that_is_full_from_any_operation_on(name, a_run, tmp_path):
    folder, left = tmp_path / "place/it", 10**6
    again, result = what(name, a_run, folder)
    moments = Moments(folder.parent, tmp_path / "copies")
    start = moments.add("the start")
    whole = versions(folder)["1"] if name == "export" else None

    def spend(operation):
        nonlocal left
        if operation.startswith(("os.mkdir", "open")):
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with watching(folder.parent, spend):
        again()
    expected, operations = result(), 10**6 - left
    for number in range(operations):
        moments.travel_to(start)
        left, before = number, contents(folder.parent)
        with watching(folder.parent, spend), pytest.raises(StorageError) as told:
            again()
        assert re.match(rf"{folder}\S*: cannot be written: No space left on device\. Make room", str(told.value)), (
            number
        )
        check_seen(name, folder, whole)
        assert contents(folder.parent) == before, number
        again()
        assert result() == expected
    print(f"\nfull disks, {name}: {operations}")


@pytest.mark.skipif(shutil.which("chattr") is None or os.geteuid() != 0, reason="needs a folder that root cannot write")
def test_a_folder_that_cannot_be_written_is_told_before_training(tmp_path):
    from gdns_tf.serving.export import check_options

    (tmp_path / "models").mkdir()
    if os.system(f"chattr +i {tmp_path / 'models'}"):
        pytest.skip("this file system knows no such attribute")
    try:
        with pytest.raises(StorageError, match=r"models/gdns: cannot be written: .*not permitted.*`export_dir`"):
            check_options(tmp_path / "models/gdns")
    finally:
        os.system(f"chattr -i {tmp_path / 'models'}")
