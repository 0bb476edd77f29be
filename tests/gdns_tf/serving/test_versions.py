"""Version folders: numbers, wholeness, and exports at the same time."""

import errno
import fcntl
import os
import random
import threading

import pytest

from gdns_tf.serving.version_numbers import superseded
from gdns_tf.serving.versions import new_version, remove_superseded
from pipelines.errors import InputError


def export(folder, version=None):
    with new_version(folder, version) as (published, unfinished):
        (unfinished / "saved_model.pb").write_text(published.name)
    return int(published.name)


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def hidden(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_numbers_go_on_after_the_highest(tmp_path):
    folder = tmp_path / "models" / "gdns"
    assert export(folder) == 1
    assert export(folder, 7) == 7
    (folder / "notes").mkdir()  # not a version
    assert export(folder) == 8
    assert visible(folder) == ["1", "7", "8", "notes"]
    assert (folder / "8/saved_model.pb").read_text() == "8"
    assert not hidden(folder)


def test_a_version_is_never_overwritten(tmp_path):
    export(tmp_path, 3)
    with pytest.raises(InputError, match=r"version 3 is there already.*Leave out `version`"):
        export(tmp_path, 3)
    assert (tmp_path / "3/saved_model.pb").exists()
    assert not hidden(tmp_path)


def test_nothing_is_visible_before_the_end_and_nothing_is_left_of_a_failure(tmp_path):
    def fail():
        with new_version(tmp_path) as (_, unfinished):
            (unfinished / "saved_model.pb").write_text("half")
            assert not visible(tmp_path)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not list(tmp_path.iterdir())


def test_exports_at_the_same_time_take_different_numbers(tmp_path):
    with new_version(tmp_path) as (first, _):
        assert (first.name, export(tmp_path)) == ("1", 2)
        with pytest.raises(InputError, match="version 1 is there already, or is being written"):
            export(tmp_path, 1)
    assert visible(tmp_path) == ["1", "2"]


def test_many_threads(tmp_path):
    threads = [threading.Thread(target=export, args=(tmp_path,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert visible(tmp_path) == [str(number) for number in range(1, 9)]
    assert all((tmp_path / name / "saved_model.pb").read_text() == name for name in visible(tmp_path))


def test_what_nobody_is_writing_any_more_is_deleted(tmp_path):
    (tmp_path / ".unfinished-5").mkdir()
    (tmp_path / ".unfinished-5/saved_model.pb").touch()
    assert export(tmp_path) == 1
    assert not hidden(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written: Permission denied"):
        export(tmp_path)


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "gdns").touch()
    with pytest.raises(InputError, match="gdns: cannot be written: File exists"):
        export(tmp_path / "gdns")
    with pytest.raises(InputError, match="deeper: cannot be written: Not a directory"):
        export(tmp_path / "gdns/deeper")


def test_superseded_is_what_it_says():
    """Against its definition: older than the new one, and with `keep` or more above it."""
    rng = random.Random(0)
    for _ in range(500):
        there = rng.sample(range(1, 30), rng.randrange(1, 9))
        written, keep = rng.choice(there), rng.randrange(1, 5)
        gone = [v for v in sorted(there) if v < written and sum(other > v for other in there) >= keep]
        assert superseded(there, written, keep) == gone


def test_old_versions_go_and_nothing_else(tmp_path, caplog):
    caplog.set_level("INFO", "gdns_tf")
    for number in (1, 2, 10, 11):
        export(tmp_path, number)
    for other in ("3", "007", "notes"):  # of these two are numbers, but neither is a version of ours
        (tmp_path / other).mkdir()
    (tmp_path / "007/saved_model.pb").touch()
    with new_version(tmp_path, 9) as (_, unfinished):
        (unfinished / "saved_model.pb").touch()
        assert remove_superseded(tmp_path / "11", 2) == [1, 2]
        assert caplog.messages[-1] == "Removed versions 1, 2: `keep_versions`=2"
        assert hidden(tmp_path) == [".unfinished-9"]
    assert visible(tmp_path) == ["007", "10", "11", "3", "9", "notes"]
    assert remove_superseded(tmp_path / "11", 2) == [9]
    assert remove_superseded(tmp_path / "10", 1) == []  # neither itself nor the newer one
    assert remove_superseded(tmp_path / "11", 5) == []
    assert caplog.messages[-1] == "Removed version 9: `keep_versions`=2"


def test_what_a_kill_left_of_a_removal_goes_with_the_next_export(tmp_path):
    (tmp_path / ".removed-4/variables").mkdir(parents=True)
    assert export(tmp_path) == 1
    assert not hidden(tmp_path)


def test_what_cannot_be_removed_is_said_and_the_export_stands(tmp_path, monkeypatch, caplog):
    for number in (1, 2):
        export(tmp_path, number)

    def refuse(source, target):
        raise PermissionError(13, "Permission denied", str(source))

    monkeypatch.setattr("gdns_tf.serving.versions.os.rename", refuse)
    assert remove_superseded(tmp_path / "2", 1) == []
    assert "`keep_versions`=1 leaves over could be removed: [Errno 13] Permission denied" in caplog.messages[-1]
    assert visible(tmp_path) == ["1", "2"]


def test_a_file_system_without_locks_for_folders_is_said_and_gone_on_with(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.EBADF, "Bad file descriptor")  # as NFS does

    monkeypatch.setattr(fcntl, "flock", refuse)
    (tmp_path / ".unfinished-3").mkdir()  # abandoned or not: who knows
    assert [export(tmp_path), export(tmp_path)] == [4, 5]
    assert "no locks for folders" in caplog.text
    assert hidden(tmp_path) == [".unfinished-3"]
    assert remove_superseded(tmp_path / "5", keep=1) == [4]
    assert visible(tmp_path) == ["5"]
