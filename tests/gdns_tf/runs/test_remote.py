"""Runs in an object store, which is memory here: gone on with from whatever moment they were killed at.

What is trained is a stand-in, but for one test.
"""

import csv
import itertools
import json
import re
import signal
from dataclasses import replace

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from tiny_runs import DATA, SPLIT, train_tiny

from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.flags import read_config
from gdns_tf.runs.callbacks import Callback
from gdns_tf.runs.interrupts import Interrupted
from gdns_tf.runs.loading import data_of, load_model, load_trained
from gdns_tf.runs.remote import mirrored
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.train import train
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.load import IN_MEMORY, load_dataset
from pipelines.paths import RemotePath

CONFIG = TrainConfig.from_settings(
    dim=4,
    batch_size=16,
    max_epochs=2,
    eval_every=1,
    checkpoint_minutes=0.0,
    schedule="constant",  # so that a run may have more epochs than it had
    tensorboard=False,
    refit=True,
    seed=5,  # with which the stand-in's second epoch is the better one
)


CHECKPOINTS = ["checkpoint", *(f"ckpt.{part}" for part in ("data-00000-of-00001", "index", "sha256") for _ in range(2))]
EVERYTHING = [
    *(f"checkpoints/{name}" for name in CHECKPOINTS),
    "flags.txt",
    "history.csv",
    "metrics.json",
    *(f"refit/checkpoints/{name}" for name in CHECKPOINTS),
    "refit/flags.txt",
    "refit/metrics.json",
    "refit/weights.npz",
    "trained_on.npz",
    "weights.npz",
]
"""What is there at the end, of two checkpoints each."""


class Killed(BaseException):
    """Stands for a SIGKILL: no store raises it."""


@pytest.fixture(autouse=True)
def stand_in():
    """Whose `undo` has a test train really."""
    with pytest.MonkeyPatch.context() as patch:  # not `monkeypatch`, which is undone within tests
        train_tiny(patch)
        yield patch


def run(address, *callbacks, **settings):
    return train(SPLIT, DATA, replace(CONFIG, output_dir=str(address), **settings), callbacks, progress=False)


def results(address):
    """All that a finished run has come to, but for the time that it took."""
    folder = RunFolder(address)
    rows = list(csv.DictReader(folder.history.read_text().splitlines()))
    history = [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
    metrics = {name: value for name, value in folder.read_metrics().items() if not name.startswith("seconds")}
    trained = load_trained(address, SPLIT)
    return history, metrics, trained.weights.arrays, trained.refit.arrays if trained.refit else {}


def assert_same(address, expected, when=""):
    found = results(address)
    assert found[:2] == expected[:2], when
    for mine, theirs in zip(found[2:], expected[2:], strict=True):
        assert mine.keys() == theirs.keys(), when
        for name, array in theirs.items():
            np.testing.assert_array_equal(mine[name], array, err_msg=f"{name} {when}")


def names(address):
    """Of all files at an address."""
    prefix = address.removeprefix("s3:/") + "/"
    return sorted(name.removeprefix(prefix) for name in MemoryFileSystem.store if name.startswith(prefix))


def kinds(address):
    """The names of all files, whatever the numbers of the checkpoints."""
    return sorted(re.sub(r"ckpt-\d+", "ckpt", name) for name in names(address))


def travel_to(moment):
    """Makes the store what it was."""
    MemoryFileSystem.store.clear()
    MemoryFileSystem.store.update(moment)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What local runs come to, with a second training and without."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        train_tiny(patch)
        run(folder / "refit")
        run(folder / "overwritten", refit=False)
    assert RunFolder(folder / "refit").read_metrics()["best_epoch"] == 2  # so that a run of one epoch has another refit
    return {part: results(folder / part) for part in ("refit", "overwritten")}


@pytest.fixture
def steps(monkeypatch):
    """What changes the store, a line each; `after` is called after each, and may kill."""

    class Steps(list):
        after = staticmethod(lambda: None)

    steps = Steps()

    def noting(name, do):
        def noted(path, *args, **kwargs):
            do(path, *args, **kwargs)
            if not path.name.startswith(".writable"):
                steps.append(f"{name} {path}")
                steps.after()

        monkeypatch.setattr(RemotePath, name, noted)

    noting("upload", RemotePath.upload)
    noting("unlink", RemotePath.unlink)
    return steps


def test_a_run_in_a_store_is_that_of_a_folder(store, undisturbed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    address = f"{store}/run"
    finished = run(address)
    assert_same(address, undisturbed["refit"])
    assert list(tmp_path.iterdir()) == []
    assert kinds(address) == EVERYTHING
    assert str(finished.folder.path) == address
    assert read_config(finished.folder.flags, TrainConfig) == replace(CONFIG, output_dir=address)
    assert read_config(finished.folder.refit.flags, TrainConfig).output_dir == f"{address}/refit"


def test_real_training_half_of_the_epochs_and_then_the_rest(store, tmp_path, stand_in):
    stand_in.undo()
    run(tmp_path / "run")
    run(f"{store}/run", max_epochs=1, refit=False)
    assert len(results(f"{store}/run")[0]) == 1
    run(f"{store}/run")
    assert_same(f"{store}/run", results(tmp_path / "run"))


@pytest.mark.parametrize("part", ["overwritten", "refit"])
def test_killed_at_any_moment_it_ends_the_same(part, store, undisturbed, steps, request):
    """States of the store between two steps are tried, of a run that writes over another or is refitted again: one of
    four, or with `--exhaustive` all."""
    address, moments = f"{store}/run", []
    former = {"max_epochs": 1, "seed": 1 if part == "overwritten" else CONFIG.seed}
    run(address, **former)
    first = results(address)
    steps.clear()
    steps.after = lambda: moments.append(dict(MemoryFileSystem.store))
    run(address, refit=part == "refit", overwrite=part == "overwritten")
    expected = kinds(address)
    tried = [place for place, step in enumerate(steps) if part == "overwritten" or "/refit/" in step]
    assert {steps[place].split()[0] for place in tried} == {"upload", "unlink"}
    steps.after = lambda: None
    for place in tried[:: 1 if request.config.getoption("--exhaustive") else 4]:
        travel_to(moments[place])
        # The same command, until the store says that the run is this one; till then, the former one is as good.
        is_old = read_config(f"{address}/flags.txt", TrainConfig).seed == 1
        if is_old:
            run(address, **former)
            assert_same(address, first, steps[place])
            travel_to(moments[place])
        run(address, refit=part == "refit", overwrite=is_old)
        assert_same(address, undisturbed[part], steps[place])
        assert kinds(address) == expected, steps[place]


def test_killed_again_and_again(store, undisturbed, steps):
    patience = itertools.count(1, 2)

    def kill():
        steps.left -= 1
        if steps.left == 0:
            raise Killed

    steps.after, kills = kill, 0
    while True:
        steps.left = next(patience)
        try:
            run(f"{store}/run")
            break
        except Killed:
            kills += 1
    assert kills > 4
    assert_same(f"{store}/run", undisturbed["refit"])
    assert kinds(f"{store}/run") == EVERYTHING


def test_only_what_changed_is_uploaded(store, steps):
    run(f"{store}/run", refit=False)
    uploads = [step.rpartition("/")[2] for step in steps if "upload" in step]
    assert uploads.count("flags.txt") == uploads.count("weights.npz") == uploads.count("metrics.json") == 1
    assert uploads.count("history.csv") == 1 + 2
    assert uploads.count("checkpoint") == 3


def test_interrupted(store, undisturbed):
    class Stop(Callback):
        def on_epoch(self, run, loss):
            if run.epoch == 1:
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        run(f"{store}/run", Stop(), checkpoint_minutes=9.0)
    assert "checkpoints/checkpoint" in names(f"{store}/run")
    seen = []

    class Look(Callback):
        def on_start(self, run):
            seen.append(run.epoch)

    run(f"{store}/run", Look())
    assert seen == [1]
    assert_same(f"{store}/run", undisturbed["refit"])


def test_other_settings_and_other_folders_are_refused_before_training(store):
    run(f"{store}/run", max_epochs=1, refit=False)
    with pytest.raises(InputError, match=rf"{store}/run: the folder holds a run with `l2`=0.02, not 0.5.*`overwrite`"):
        run(f"{store}/run", l2=0.5)
    RemotePath(f"{store}/photos/cat.jpg").upload(__file__)
    with pytest.raises(InputError, match=rf"{store}/photos: the folder is not empty and holds no run"):
        run(f"{store}/photos")
    assert names(f"{store}/photos") == ["cat.jpg"]


def test_overwriting_leaves_what_is_not_of_the_run(store):
    run(f"{store}/run", tensorboard=True)
    RemotePath(f"{store}/run/notes.txt").upload(__file__)
    assert any("tensorboard/events" in name for name in names(f"{store}/run"))
    run(f"{store}/run", overwrite=True, l2=0.5, refit=False)
    assert read_config(f"{store}/run/flags.txt", TrainConfig).l2 == 0.5
    assert not any("tensorboard/" in name or "refit/" in name for name in names(f"{store}/run"))
    assert "notes.txt" in names(f"{store}/run")


def test_curves_of_both_halves_stay(store):
    for epochs in (1, 2):
        run(f"{store}/run", max_epochs=epochs, tensorboard=True, refit=False)
    logs = [name for name in names(f"{store}/run") if "tensorboard/events" in name]
    assert [name.endswith(".kept") for name in logs] == [False, False, True]  # the kept figures are the last ones only
    assert "tensorboard/items.tsv" in names(f"{store}/run")


def refused(*args, **kwargs):
    raise PermissionError(13, "Access Denied")


def test_a_store_that_cannot_be_written_is_told_before_training(store, monkeypatch):
    monkeypatch.setattr(MemoryFileSystem, "put_file", refused)
    with pytest.raises(InputError, match=rf"{store}/run: cannot be written: .*Access Denied.*`output_dir`"):
        RunFolder.open(DATA, replace(CONFIG, output_dir=f"{store}/run"))


class BreakTheStore(Callback):
    """Takes the permission to write away in one epoch, and gives it back in another."""

    def __init__(self, monkeypatch, first, last):
        self.monkeypatch, self.first, self.last = monkeypatch, first, last

    def on_epoch(self, run, loss):
        if run.epoch == self.first:
            self.monkeypatch.setattr(MemoryFileSystem, "put_file", refused)
        if run.epoch == self.last:
            self.monkeypatch.undo()


def test_training_outlives_a_store_that_fails_for_a_while(store, undisturbed, caplog):
    with pytest.MonkeyPatch.context() as patch:
        run(f"{store}/run", BreakTheStore(patch, 1, 2))
    assert "Access Denied" in caplog.text
    assert_same(f"{store}/run", undisturbed["refit"])


def test_what_cannot_be_uploaded_at_the_end_is_kept_here(store, undisturbed):
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(InputError, match=rf"{store}/run: cannot be written: .*is kept whole in ") as error,
    ):
        run(f"{store}/run", BreakTheStore(patch, 2, 3), refit=False)
    kept = str(error.value).partition("kept whole in ")[2].partition(":")[0]
    assert json.loads(RunFolder(kept).metrics.read_text())["epochs"] == 2
    run(f"{store}/run")
    assert_same(f"{store}/run", undisturbed["refit"])


def test_a_block_that_fails_uploads_nothing(store):
    def fail():
        with mirrored(RunFolder(f"{store}/run")) as mirror:
            mirror.folder.flags.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert names(f"{store}/run") == []


def test_models_and_data_are_read_from_the_store(store, tmp_path):
    config = replace(CONFIG, output_dir=f"{store}/run", refit=False)
    train(SPLIT, DataConfig(dataset=IN_MEMORY), config, progress=False)
    assert data_of(f"{store}/run") == DataConfig(dataset="saved", data_dir=f"{store}/run/data.npz")
    split = load_dataset(data_of(f"{store}/run"))
    assert split.fingerprint == SPLIT.fingerprint
    metrics = RunFolder(f"{store}/run").read_metrics()
    for address in (f"{store}/run", f"{store}/run/weights.npz"):
        assert evaluate(load_model(address, split), split, split="test").means() == metrics["test"]
    with pytest.raises(InputError, match=rf"{store}/other: there is no flags\.txt"):
        data_of(f"{store}/other")
    with pytest.raises(InputError, match=rf"{store}/no\.npz: there is no such file"):
        load_model(f"{store}/no.npz", split)
    RemotePath(f"{store}/bad.npz").upload(__file__)
    with pytest.raises(InputError, match=rf"{store}/bad\.npz: not an \.npz file, or damaged"):
        load_model(f"{store}/bad.npz", split)
