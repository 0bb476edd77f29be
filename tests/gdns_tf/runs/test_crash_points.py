"""A run killed before and after every single operation on its folder ends as one that was not; so with a full disk.

What is trained is a stand-in: that real training ends the same is for `test_train_resume.py` to show. Unasked a part of
the operations is tried; `pytest --exhaustive -s` tries all and counts them.
"""

import errno
import json
import os
import re
import resource
import shutil
from collections.abc import Callable

import pytest
import tensorflow as tf
from crash_points import Moments, contents, watching
from tiny_runs import results, run, train_tiny

from pipelines.config import DataConfig
from pipelines.errors import StorageError
from pipelines.load import IN_MEMORY, SAVED


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    train_tiny(monkeypatch)
    monkeypatch.setattr(os, "fsync", lambda file: None)  # a kill is no power cut, and the disk slow


@pytest.fixture
def some(request) -> Callable:
    """Of what could be tried, all or a part."""
    exhaustive, offset = request.config.getoption("--exhaustive"), len(request.node.name)
    return lambda everything, stride=STRIDE: everything if exhaustive else everything[offset % stride :: stride]


STRIDE = 13
FORMER = {"nothing": None, "another run": {"seed": 1}, "half of it": {"max_epochs": 1}, "data of its own": {}}
"""What is there before."""


def begin(former, folder):
    """Makes what is there before; returns how the run is then made."""
    folder.mkdir(parents=True)
    (folder.parent / "notes.txt").write_text("mine")
    if former == "nothing":
        folder.rmdir()
        return lambda: run(folder, refit=True)
    if former == "data of its own":  # which it is then trained on afresh, and must not lose
        run(folder, data=DataConfig(dataset=IN_MEMORY), seed=1)
        (folder / "notes.txt").write_text("mine")
        own = DataConfig(dataset=SAVED, data_dir=str(folder / "data.npz"))
        return lambda: run(folder, data=own, overwrite=True)
    run(folder, **FORMER[former])
    (folder / "notes.txt").write_text("mine")
    return lambda: run(folder, overwrite=former == "another run", refit=True)


@pytest.fixture(scope="module")
def tried():
    """How many of what was tried; shown at the end by `-s`."""
    counts = {}
    yield counts
    print(f"\ntried: {counts}")


@pytest.mark.parametrize("former", FORMER)
def test_killed_before_and_after_every_operation(former, tmp_path, monkeypatch, some, tried):
    folder = tmp_path / "runs/run"
    again = begin(former, folder)
    moments = Moments(folder.parent, tmp_path / "copies")
    cut_short(monkeypatch, moments)
    with moments.taken():
        again()
    expected, states = results(folder), list(moments.states)
    assert len(moments.operations) > 40
    assert json.loads((folder / "metrics.json").read_text())["epochs"] == 2
    for operation, copy in some(states):
        moments.travel_to(copy)
        again()
        assert results(folder) == expected, f"killed before {operation}"
        assert (folder.parent / "notes.txt").read_text() == "mine"
        assert {path.name for path in folder.parent.iterdir()} == {"run", "notes.txt"}
    tried[f"kills, {former}"] = f"{len(moments.operations)} operations, {len(some(states))} states"


def cut_short(monkeypatch, moments):
    """Adds what TensorFlow's own writing leaves where it is killed in the middle, of which Python is told nothing."""
    write = tf.train.Checkpoint.write

    def written(checkpoint, prefix, *args, **kwargs):
        write(checkpoint, prefix, *args, **kwargs)
        if moments.is_on:
            name, data = os.path.relpath(prefix, moments.folder), ".data-00000-of-00001"
            for told, size, there in (("", None, data), ("half of ", 100, data), ("one part of ", 100, "_temp/part-0")):
                copy = moments.add(f"{told}{name}") / name
                content = copy.with_name(f"{copy.name}{data}").read_bytes()
                for part in (".index", data):
                    copy.with_name(f"{copy.name}{part}").unlink()
                left = copy.parent / f"{copy.name}{there}"
                left.parent.mkdir(exist_ok=True)
                left.write_bytes(content[:size])

    monkeypatch.setattr(tf.train.Checkpoint, "write", written)


@pytest.mark.parametrize("former", ["nothing", "half of it"])
def test_a_disk_that_is_full_from_any_operation_on(former, tmp_path, monkeypatch, some, tried):
    folder, write = tmp_path / "runs/run", tf.train.Checkpoint.write
    again = begin(former, folder)
    moments, left = Moments(folder.parent, tmp_path / "copies"), 10**6
    start = moments.add("the start")

    def spend(operation=""):
        nonlocal left
        if operation.startswith(("os.mkdir", "open")):
            left -= 1
            if left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def written(*args, **kwargs):
        if left <= 0:
            raise tf.errors.ResourceExhaustedError(None, None, f"{folder}/x; No space left on device")
        write(*args, **kwargs)

    monkeypatch.setattr(tf.train.Checkpoint, "write", written)
    with watching(folder.parent, spend):
        again()
    expected, operations = results(folder), 10**6 - left
    assert operations > 30
    for number in some(range(operations)):
        moments.travel_to(start)
        left = number
        with watching(folder.parent, spend), pytest.raises(StorageError) as told:
            again()
        assert re.fullmatch(rf"{folder}.*: cannot be written: No space left on device\. Make room.*", str(told.value))
        left = 10**6
        again()
        assert results(folder) == expected, number
    tried[f"full disks, {former}"] = len(some(range(operations)))


def test_a_quota_that_no_file_may_exceed(tmp_path, some, tried):
    """By the kernel: a write fails in the middle of a file, TensorFlow's too."""
    run(tmp_path / "undisturbed")
    expected = results(tmp_path / "undisturbed")
    largest = max(len(content or b"") for content in contents(tmp_path / "undisturbed").values())
    sizes, limits = (
        [1, 10, 40, 100, 300, 1000, 2000, *range(4000, largest, 4000)],
        resource.getrlimit(resource.RLIMIT_FSIZE),
    )
    for size in some(sizes, 5):
        folder = tmp_path / "run"
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            with pytest.raises(StorageError, match=r"cannot be written: File too large\. Make room"):
                run(folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        run(folder)
        assert results(folder) == expected, size
        shutil.rmtree(folder)
    tried["quotas"] = len(some(sizes, 5))
