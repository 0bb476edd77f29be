"""Files that appear whole or not at all: what their temporaries are called, and several writers at a time."""

import os
import pickle
import threading

import pytest

from pipelines.atomic import is_temporary, temporary_name, whole, write_text
from pipelines.errors import InputError, StorageError

NAMES = [
    "flags.txt",
    "no_ending",
    ".hidden",
    "lr0.01-x",
    "a.b c",
    "x" * 251 + ".csv",
    "字" * 84 + ".np",
    "a." + "y" * 99,
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:10])
def test_a_file_of_any_name_can_be_written_and_its_temporary_is_known(tmp_path, name):
    with whole(tmp_path / name) as unfinished:
        assert is_temporary(unfinished.name, of=["another.txt", name])
        assert not is_temporary(unfinished.name, of=["another.txt", f"z{name}"])
        unfinished.write_text("x")
    left = tmp_path / temporary_name(tmp_path / name)  # by a kill
    left.touch()
    write_text(tmp_path / name, "y")
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "y"


def test_of_many_writers_of_one_file_none_takes_anothers_for_abandoned(tmp_path):
    failed = []

    def write() -> None:
        for _ in range(150):
            try:
                write_text(tmp_path / "a.txt", "x")
            except StorageError as error:
                failed.append(error)

    writers = [threading.Thread(target=write) for _ in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failed
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_error_from_another_process_reads_as_it_did_there():
    error = InputError("bad", path="x", line=3, remedy="Do.")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.path, again.line) == (str(error), "x", 3)
