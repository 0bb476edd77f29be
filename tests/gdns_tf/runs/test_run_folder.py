"""The folder of a run: made, found again, refused, cleared; nothing half-written."""

import json
import os
from dataclasses import replace
from types import SimpleNamespace

import pytest

from gdns_tf.flags import read_config
from gdns_tf.runs.callbacks import Validation
from gdns_tf.runs.history import History, read_history
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.training.config import TrainConfig
from pipelines.atomic import is_temporary, whole
from pipelines.config import DataConfig
from pipelines.errors import InputError, StorageError

DATA = DataConfig(planted_users=50)


def claim(data, config):
    folder = RunFolder.open(data, config)
    folder.claim(data, config)
    return folder


@pytest.fixture
def config(tmp_path):
    return TrainConfig(output_dir=str(tmp_path / "a" / "run"), l2=0.03)


def test_flags_are_kept_and_read_back(config):
    folder = claim(DATA, config)
    assert read_config(folder.flags, TrainConfig) == config
    assert read_config(folder.flags, DataConfig) == DATA


def test_the_same_run_may_come_back_and_be_extended(config):
    claim(DATA, config)
    folder = claim(replace(DATA, data_dir="elsewhere"), replace(config, max_epochs=9, checkpoint_minutes=1.0))
    assert read_config(folder.flags, TrainConfig).max_epochs == 9


@pytest.mark.parametrize(
    ("data", "train", "message"),
    [({}, {"l2": 0.01}, "`l2`=0.03, not 0.01"), ({"planted_users": 60}, {}, "`planted_users`=50, not 60")],
)
def test_another_run_is_refused_and_the_first_kept(config, data, train, message):
    folder = claim(DATA, config)
    folder.weights.touch()  # it has come to something
    before = folder.flags.read_text()
    with pytest.raises(InputError, match=f"{message}.*`overwrite`"):
        RunFolder.open(replace(DATA, **data), replace(config, **train))
    assert folder.flags.read_text() == before


def test_overwrite_clears_the_run_and_nothing_else(config):
    folder = claim(DATA, config)
    folder.checkpoints.mkdir()
    (folder.checkpoints / "checkpoint").touch()
    folder.write_metrics({"a": 1})
    (folder.path / "notes.txt").write_text("mine")
    again = replace(config, l2=0.5, overwrite=True)
    RunFolder.open(DATA, again)  # the data may yet turn out to be bad
    assert folder.metrics.exists()
    claim(DATA, again)
    assert not folder.checkpoints.exists()
    assert not folder.metrics.exists()
    assert (folder.path / "notes.txt").read_text() == "mine"


def test_a_folder_of_something_else_is_left_alone(config, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    with pytest.raises(InputError, match="not empty and holds no run"):
        RunFolder.open(DATA, replace(config, output_dir=str(tmp_path / "photos")))
    assert os.listdir(tmp_path / "photos") == ["cat.jpg"]


def test_checkpoints_of_another_program_are_left_alone(config, tmp_path):
    place = tmp_path / "work"
    (place / "checkpoints").mkdir(parents=True)
    (place / "tensorboard").mkdir()
    (place / "checkpoints" / "best.pt").touch()
    with pytest.raises(InputError, match="not empty and holds no run"):
        RunFolder.open(DATA, replace(config, output_dir=str(place), overwrite=True))
    (place / "checkpoints" / "best.pt").rename(place / "checkpoints" / "ckpt-3.index")
    (place / "checkpoints" / "checkpoint").touch()
    RunFolder.open(DATA, replace(config, output_dir=str(place), overwrite=True))  # what is left of a run


@pytest.mark.parametrize("left", [".writable.4711", "..writable.0123456789ab.tmp.4711", ".flags.0123456789ab.tmp.txt"])
def test_what_a_kill_left_before_the_run_had_begun_is_no_hindrance(config, tmp_path, left):
    (tmp_path / "a" / "run").mkdir(parents=True)
    (tmp_path / "a" / "run" / left).write_text("--di")
    assert claim(DATA, config).flags.exists()


def test_whole_writes_to_names_that_are_known_as_temporary(tmp_path):
    with whole(tmp_path / "flags.txt") as unfinished:
        unfinished.write_text("x")
        assert is_temporary(unfinished.name)
    assert not is_temporary("flags.txt")
    assert not is_temporary(".hidden.tmp")


def test_flags_of_a_run_that_never_got_anywhere_do_not_bind(config):
    claim(DATA, config)
    folder = claim(DATA, replace(config, l2=0.5))
    assert read_config(folder.flags, TrainConfig).l2 == 0.5


def test_a_place_that_cannot_be_written_is_named(config, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file.*cannot be written.*`output_dir`"):
        RunFolder.open(DATA, replace(config, output_dir=str(tmp_path / "file" / "run")))
    with pytest.raises(InputError, match="`output_dir` is not set"):
        RunFolder.open(DATA, replace(config, output_dir=""))


def test_history_is_made_again_as_the_checkpoint_has_it(config):
    folder = claim(DATA, config)
    run, history = SimpleNamespace(folder=folder, history="", metric_names=["mrr"]), History()
    history.on_start(run)
    for epoch in (10, 20, 30):
        history.on_validation(run, Validation(epoch, 0.5, epoch / 7, {"mrr": 0.25}, 0.25))
    whole_text = folder.history.read_text()
    assert whole_text == "epoch,seconds,loss,mrr\n10,0.5,1.42857,0.25\n20,0.5,2.85714,0.25\n30,0.5,4.28571,0.25\n"
    assert read_history(folder.history)["epoch"].tolist() == [10, 20, 30]
    run.history = "".join(whole_text.splitlines(keepends=True)[:3])  # of a checkpoint after epoch 20
    folder.history.write_text(whole_text[:30])
    history.on_start(run)
    assert read_history(folder.history, expected=2)["epoch"].tolist() == [10, 20]


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "gone", "nul", "row lost"])
def test_a_history_that_lacks_rows_is_never_read_in_silence(config, caplog, damage):
    text = "epoch,seconds,loss,mrr\n10,0.5,1.42857,0.25\n20,0.5,2.85714,0.25\n"
    path = claim(DATA, config).history
    damaged = {
        "cut": text[:-12].encode(),
        "garbage": b"\xff\xfe\x00" * 30,
        "empty": b"",
        "nul": text.encode().replace(b"20,", b"2\0,"),
        "row lost": b"".join(text.encode().splitlines(keepends=True)[::2]),
    }
    if damage != "gone":
        path.write_bytes(damaged[damage])
    columns = read_history(path, expected=2)
    assert len(columns.get("epoch", ())) < 2
    assert "of 2 validations can be read" in caplog.text


def test_a_write_that_fails_leaves_the_old_file(config, monkeypatch):
    folder = claim(DATA, config)
    folder.write_metrics({"ndcg@3": 0.3})
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(StorageError, match=r"metrics\.json: cannot be written: disk full"):
        folder.write_metrics({"ndcg@3": 0.9})
    assert json.loads(folder.metrics.read_text()) == {"ndcg@3": 0.3}
    assert sorted(os.listdir(folder.path)) == ["flags.txt", "metrics.json"]
