"""A folder that appears whole, where the system cannot exchange two names at once."""

import os
from pathlib import Path

import pytest

from gdns_tf.runs import whole_folder as module
from gdns_tf.runs.lock import LOCK, locked
from gdns_tf.runs.whole_folder import whole_folder
from pipelines.atomic import temporary_name
from pipelines.errors import StorageError


@pytest.fixture
def no_exchange(monkeypatch):
    def refuse(one: Path, other: Path) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(module, "_exchange", refuse)


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("former")
    return tmp_path / "model"


def write(path):
    with whole_folder(path) as unfinished:
        (unfinished / "weights").write_text("new")


@pytest.mark.usefixtures("no_exchange")
def test_the_former_folder_makes_room(model):
    write(model)
    assert [(path.name, path.read_text()) for path in model.iterdir()] == [("weights", "new")]
    assert os.listdir(model.parent) == ["model"]


@pytest.mark.usefixtures("no_exchange")
def test_the_former_folder_is_there_again_where_the_new_one_cannot_be(model, monkeypatch):
    rename = Path.rename

    def fails_for_the_new(self, target):
        if self.name == "new":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_for_the_new)
    with pytest.raises(StorageError, match="Input/output error"):
        write(model)
    assert (model / "weights").read_text() == "former"
    assert os.listdir(model.parent) == ["model"]


def test_a_folder_that_a_kill_left_without_its_name_gets_it_again(model):
    beside = model.with_name(temporary_name(model))
    beside.mkdir()
    model.rename(beside / "former")  # and here the process was killed
    with pytest.raises(ZeroDivisionError), whole_folder(model):
        raise ZeroDivisionError
    assert (model / "weights").read_text() == "former"
    assert os.listdir(model.parent) == ["model"]


def test_whose_folder_was_exchanged_does_not_remove_anothers_lock(model):
    with locked(model):
        model.rename(model.with_name("former"))
        model.mkdir()
        (model / LOCK).write_text("of another")
    assert (model / LOCK).exists()
