"""Which versions of a model answer, while their folders come, go and break."""

import shutil
import threading

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from tiny_models import publish

from gdns_tf.server.metrics import Metrics
from gdns_tf.server.refusal import Refusal
from gdns_tf.server.versions import ModelConfig, State, Versions
from gdns_tf.serving.warmup import PATH, write_warmup


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tiny").mkdir()
    return tmp_path / "tiny"


@pytest.fixture
def opened():
    """Opens the versions of a folder, which are looked at when `poll` is called, and closes them at the end."""
    found = []

    def open_versions(base_path, **config):
        found.append(Versions(ModelConfig(name="tiny", base_path=str(base_path), **config), Metrics(), 0))
        return found[-1]

    yield open_versions
    for versions in found:
        versions.close()


def answer(versions, number=None):
    """The number by which the version's own variable goes."""
    with versions.lease(number) as servable:
        (value,) = servable.run("serving_default", {"x": np.ones(1, np.float32)}, ["version"])["version"]
        assert value == servable.version
        return value


def states(versions):
    return {entry.version: State.Name(entry.state) for entry in versions.status().model_version_status}


def poll_twice(versions):
    versions.poll()
    versions.poll()


def test_a_new_version_takes_over_and_a_deleted_one_goes(saved, folder, opened):
    publish(saved / "1", folder)
    versions = opened(folder)
    assert answer(versions) == 1
    publish(saved / "3", folder)
    versions.poll()
    assert answer(versions) == 1  # the new one may still be written
    versions.poll()
    assert answer(versions) == 3
    assert states(versions) == {1: "END", 3: "AVAILABLE"}
    publish(saved / "2", folder)
    poll_twice(versions)
    assert states(versions) == {1: "END", 3: "AVAILABLE"}
    shutil.rmtree(folder / "3")
    poll_twice(versions)
    assert states(versions) == {1: "END", 2: "AVAILABLE", 3: "END"}
    publish(saved / "3", folder)
    poll_twice(versions)
    assert answer(versions) == 3
    for number in "123":
        shutil.rmtree(folder / number)
    versions.poll()
    assert set(states(versions).values()) == {"END"}
    with pytest.raises(Refusal, match=r"Servable not found for request: Latest\(tiny\)"):
        answer(versions)


def test_a_version_that_still_grows_is_waited_for(saved, folder, opened, caplog):
    versions = opened(folder)
    assert "there is no version in" in caplog.text
    with pytest.raises(Refusal, match="Could not find any versions of model tiny"):
        versions.status()
    parts = sorted(path for path in (saved / "1").rglob("*") if path.is_file())
    for part in parts:
        copy = folder / "1" / part.relative_to(saved / "1")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(part, copy)
        versions.poll()
        assert versions.available() == []
    versions.poll()
    assert answer(versions) == 1
    assert caplog.text.count("there is no version in") == 1


@pytest.mark.parametrize("damage", ["empty", "truncated", "no variables"])
def test_a_broken_version_is_told_of_and_the_old_one_stays(saved, folder, opened, caplog, damage):
    publish(saved / "1", folder)
    versions = opened(folder)
    publish(saved / "2", folder)
    broken = folder / "2" / "saved_model.pb"
    if damage == "no variables":
        shutil.rmtree(folder / "2/variables")
    else:
        broken.unlink() if damage == "empty" else broken.write_bytes(broken.read_bytes()[:500])
    for _ in range(4):
        versions.poll()
    assert states(versions) == {1: "AVAILABLE", 2: "END"}
    (told,) = [record.getMessage() for record in caplog.records if "cannot be loaded" in record.getMessage()]
    assert told.startswith("tiny: version 2 cannot be loaded, version 1 stays: ")
    entry = versions.status(2).model_version_status[0]
    assert entry.status.error_code != 0
    assert entry.status.error_message in told
    assert answer(versions) == 1
    after_restart = opened(folder)
    assert answer(after_restart) == 1
    shutil.rmtree(folder / "2")
    publish(saved / "2", folder)
    poll_twice(versions)
    assert answer(versions) == 2


def test_the_folder_may_go_and_come_back(saved, folder, opened, caplog):
    publish(saved / "1", folder)
    versions = opened(folder)
    folder.rename(folder.with_name("away"))
    poll_twice(versions)
    assert answer(versions) == 1
    assert caplog.text.count("cannot look for versions") == 1
    folder.with_name("away").rename(folder)
    publish(saved / "2", folder)
    poll_twice(versions)
    assert answer(versions) == 2


def test_requests_under_way_are_answered_by_their_version(saved, folder, opened):
    publish(saved / "1", folder)
    versions = opened(folder)
    with versions.lease() as old:
        publish(saved / "2", folder)
        poll_twice(versions)
        assert states(versions) == {1: "UNLOADING", 2: "AVAILABLE"}
        assert answer(versions) == 2
        with pytest.raises(Refusal):
            answer(versions, 1)
        assert old.run("serving_default", {"x": np.ones(1, np.float32)}, ["version"])["version"] == [1]
    assert states(versions) == {1: "END", 2: "AVAILABLE"}


def test_policies(saved, folder, opened):
    for number in "123":
        publish(saved / number, folder)
    for config, numbers in (
        ({}, [3]),
        ({"model_version_policy": {"latest": {"num_versions": 2}}}, [2, 3]),
        ({"model_version_policy": {"all": {}}}, [1, 2, 3]),
        ({"model_version_policy": {"specific": {"versions": [1, 7]}}}, [1]),
    ):
        versions = opened(folder, **config)
        assert versions.available() == numbers
        assert answer(versions) == numbers[-1]
        assert answer(versions, numbers[0]) == numbers[0]
        with pytest.raises(Refusal, match=r"Specific\(tiny, 7\)"):
            answer(versions, 7)


def test_other_names_are_no_versions(saved, folder, opened):
    publish(saved / "1", folder)
    (folder / "2").write_text("a file")
    for name in ("latest", ".unfinished-9", "²", "-3"):
        (folder / name).mkdir()
    assert opened(folder).available() == [1]


def test_warm_up_requests_come_first_and_must_succeed(saved, folder, opened):
    publish(saved / "1", folder)
    ones = {"x": np.ones(2, np.float32)}
    assert write_warmup(folder / "1", "tiny", {"serving_default": ones, "sums": {"x": np.ones((1, 2), np.int64)}})
    versions = opened(folder)
    text = "\n".join(versions._metrics.lines())
    assert f':model_warmup_records_read{{model_path="{folder}/1",status="OK"}} 2' in text
    assert ':runtime_latency_count{model_name="tiny",API="Predict",runtime="TF1"} 2' in text
    for number, damage in (("2", {"sums": ones}), ("3", b"nonsense" * 9)):
        publish(saved / number, folder)
        if isinstance(damage, bytes):
            (folder / number / PATH).parent.mkdir()
            (folder / number / PATH).write_bytes(damage)
        else:
            write_warmup(folder / number, "tiny", damage)
    poll_twice(versions)
    assert states(versions) == {1: "AVAILABLE", 2: "END", 3: "END"}
    assert "to be int64 but float" in versions.status(2).model_version_status[0].status.error_message


def test_versions_of_an_object_store(saved, store, opened):
    files = MemoryFileSystem()
    model = f"{store}/models/tiny"
    versions = opened(model)
    assert versions.available() == []
    for number in ("1", "2"):
        files.put(str(saved / number), f"{model.removeprefix('s3:/')}/{number}", recursive=True)
        poll_twice(versions)
        assert answer(versions) == int(number)
    files.rm(f"{model.removeprefix('s3:/')}/2/saved_model.pb")
    assert answer(opened(model)) == 1
    files.rm(f"{model.removeprefix('s3:/')}", recursive=True)
    poll_twice(versions)
    assert versions.available() == []


def test_it_looks_by_itself(saved, folder):
    versions = Versions(ModelConfig(name="tiny", base_path=str(folder)), Metrics(), 0.02)
    try:
        publish(saved / "1", folder)
        assert versions.wait_for(1, 60)
        assert not versions.wait_for(2, 0.01)
    finally:
        versions.close()
    assert not any(thread.name == versions._poller.name for thread in threading.enumerate())
