"""Two devices of a process, and two processes of a cluster: what they train, and that one of them may be killed.

The suite kills the chief. `pytest --exhaustive` kills the other worker before, which takes as long again.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from two_devices import CASES, DATA, NUM_SHARDS, RUN

from pipelines.ingested import save_shards
from pipelines.load import load_dataset

ROOT = Path(__file__).parents[3]
SCRIPTS = Path(__file__).parents[1]
KILLED_AFTER = {"worker": 3, "chief": 5}
"""Who is killed, and in which epoch."""
PATIENCE = 400
"""Seconds until a process hangs; on a good day they take 15."""


def flags(**changes):
    return [f"--{name}={str(value).lower()}" for name, value in (RUN | changes).items()]


def started(command, **environment):
    """A process of its own, which begins afresh: one that has TensorFlow's threads must not fork."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"} | environment
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, **pipes)


def ended(*processes):
    """(exit code, what it printed, what it complained of) of each."""
    try:
        told = [process.communicate(timeout=PATIENCE) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, told, strict=True)]


def cluster():
    """TF_CONFIG of each of two workers, on ports that are free now."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        workers = [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, other)]
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    return [json.dumps({"cluster": {"worker": workers}, "task": task}) for task in tasks]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def shards(folder):
    save_shards(load_dataset(DATA), folder / "shards", DATA, NUM_SHARDS)
    return folder / "shards"


@pytest.fixture(scope="module")
def at_work(folder, shards):
    """`two_devices.py`, which is at work while the workers are."""
    process = started([str(SCRIPTS / "two_devices.py"), str(folder / "devices"), str(shards)])
    yield process
    process.kill()


@pytest.fixture(scope="module")
def devices(at_work, workers):
    """What `two_devices.py` tells."""
    ((code, told, complaint),) = ended(at_work)
    assert code == 0, complaint
    return json.loads(told.splitlines()[-1])


@pytest.fixture(scope="module")
def victims(pytestconfig):
    """Who is killed, one after the other."""
    return list(KILLED_AFTER) if pytestconfig.getoption("--exhaustive") else ["chief"]


@pytest.fixture(scope="module")
def workers(folder, shards, at_work, victims):
    """How two workers ended, of whom one was killed, each time; and how they did when both were started once more."""
    settings = {"strategy": "multiworker", "heartbeat_seconds": 10, "show_users": 0}
    arguments = flags(output_dir=folder / "workers", data_dir=shards, **settings)
    found = []
    for victim in (*victims, ""):
        for _ in range(3):  # another process may take a port in between
            configs = cluster()
            second = started(["-m", "gdns_tf.train", *arguments], TF_CONFIG=configs[1])
            killed = {"worker": second.pid, "chief": 0}.get(victim)
            fatal = [str(SCRIPTS / "fatal_chief.py"), str(killed), str(KILLED_AFTER.get(victim))]
            first = started([*(fatal if victim else ["-m", "gdns_tf.train"]), *arguments], TF_CONFIG=configs[0])
            both = ended(first, second)
            if not any("in use" in complaint for _, _, complaint in both):
                break
        found.append(both)
        assert (folder / "workers/metrics.json").exists() == (not victim)
    return found


def weights(path):
    return dict(np.load(path / "weights.npz"))


def test_a_worker_that_loses_the_other_says_so_and_asks_to_be_started_again(workers, victims):
    for victim, both in zip(victims, workers[:-1], strict=True):
        number = int(victim == "chief")
        (code, _, complaint), (killed, *_) = both[number], both[1 - number]
        assert killed == -9
        assert code == 75, complaint
        assert f"error: worker {number} of 2 has lost another one: " in complaint
        assert "Start all workers again by the same command" in complaint


def test_both_go_on_from_where_both_were(workers, victims):
    (chief, told, complaint), (other, nothing, others) = workers[-1]
    assert chief == 0, complaint
    assert other == 0, others
    for victim, both in zip(victims, workers[1:], strict=True):
        for _, _, text in both:
            assert f"Going on after epoch {KILLED_AFTER[victim] - 1} of " in text
    assert "Best epoch" in told
    assert nothing == ""  # the chief tells


def test_two_devices_and_two_workers_end_with_the_same_weights(folder, devices, workers):
    """But for rounding. Both were gone on with, after other epochs: had that changed anything, they would differ."""
    of_workers, of_devices = weights(folder / "workers"), weights(folder / "devices")
    for name, array in of_devices.items():
        np.testing.assert_allclose(of_workers[name], array, rtol=1e-5, atol=1e-6)
    metrics = [json.loads((folder / name / "metrics.json").read_text()) for name in ("workers", "devices")]
    assert metrics[0]["test"] == metrics[1]["test"]
    assert metrics[0]["epochs"] == RUN["max_epochs"]


@pytest.mark.parametrize("case", CASES)
def test_two_replicas_take_the_steps_of_one_that_has_the_users_of_both(devices, case):
    found = devices[case]
    assert found["moved"] > 0.1
    assert found["weights"] < 2e-5 * found["moved"]
    assert found["loss"] < 1e-5
    if case == "gdns":
        assert found["rows"] == [30 * 140, 31 * 140]  # of 61 users
        assert found["written"] > 100
        assert found["tables"] < 1e-5
