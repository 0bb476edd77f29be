"""One process at a time in a folder; the kernel frees it at a kill."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gdns_tf.runs.lock import LOCK, STUDY_LOCK, check_free, locked
from gdns_tf.studies.config import StudyConfig
from gdns_tf.studies.session import Session
from gdns_tf.study import study
from gdns_tf.training.config import TrainConfig
from gdns_tf.tuning.folder import TuningFolder
from pipelines.config import DataConfig
from pipelines.errors import InputError, StorageError
from pipelines.paths import as_path

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time, types
sys.modules["gdns_tf.runs"] = package = types.ModuleType("gdns_tf.runs")  # nothing heavy
package.__path__ = ["gdns_tf/runs"]
from pathlib import Path
from gdns_tf.runs.lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_nothing_is_left_of_a_lock_nor_of_a_folder_made_for_it(tmp_path):
    (tmp_path / "there").mkdir()
    for folder in (tmp_path / "there", tmp_path / "a/b/c"):
        with locked(folder):
            assert (folder / LOCK).exists()
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]
    with locked(tmp_path / "a/b"):
        (tmp_path / "a/b/file").touch()
    assert (tmp_path / "a/b/file").exists()


def test_what_another_user_left_hinders_nobody_and_what_one_holds_does(tmp_path, monkeypatch):
    """Of a file that one may read and not write, as a umask of 022 makes them."""
    (tmp_path / LOCK).write_text("process 1 of somebody")
    really_open = os.open

    def open_of_others(path, flags, *mode):
        if Path(path).name == LOCK and flags & (os.O_RDWR | os.O_CREAT):
            raise PermissionError(13, "Permission denied")
        return really_open(path, flags, *mode)

    monkeypatch.setattr(os, "open", open_of_others)
    with (tmp_path / LOCK).open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for attempt in (check_free, lambda folder: locked(folder).__enter__()):
            with pytest.raises(InputError, match="process 1 of somebody is at work there"):
                attempt(tmp_path)
    check_free(tmp_path)
    with locked(tmp_path), pytest.raises(InputError):
        check_free(tmp_path)


def test_another_process_is_named_and_its_kill_frees_the_folder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "locked\n"
        for attempt in (check_free, lambda folder: locked(folder).__enter__()):
            with pytest.raises(InputError, match=rf"process {process.pid} on \S+, since 20\S+ \S+, is at work there"):
                attempt(tmp_path)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert (tmp_path / LOCK).exists()
    check_free(tmp_path)
    with locked(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


def test_of_many_threads_one_at_a_time(tmp_path):
    inside, refused, most, start = [], [], [], threading.Barrier(8)

    def work():
        start.wait()
        for _ in range(20):
            try:
                with locked(tmp_path / "run"):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except InputError:
                refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(most) + len(refused) == 160
    assert not list(tmp_path.rglob(LOCK))


def test_a_file_system_without_locks_is_said_and_gone_on_with(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path):
        assert "knows no locks (Operation not supported): see that no other process" in caplog.text


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / "victim")
    with pytest.raises(StorageError, match="cannot be written"), locked(tmp_path / "run"):
        pass
    assert (tmp_path / "victim").read_text() == "mine"


def test_studies_and_searches_have_one_for_all_their_runs(tmp_path):
    session = Session(DataConfig(), TrainConfig(), StudyConfig(study="ablation", study_dir=str(tmp_path)))
    with locked(tmp_path, STUDY_LOCK):
        for attempt in (lambda: study(session), lambda: TuningFolder(str(tmp_path))):
            with pytest.raises(InputError, match=f"process {os.getpid()} on"):
                attempt()
    assert not list(tmp_path.iterdir())


def test_a_store_has_none(store):
    with locked(as_path(f"{store}/run")), locked(as_path(f"{store}/run")):
        pass
