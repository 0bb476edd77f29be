"""A run that is killed or interrupted and started again ends as one that never was."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from gdns_tf import train
from gdns_tf.command import exit_code
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig

ROOT = Path(__file__).parents[2]
FLAGS = [
    "--dataset=planted",
    "--planted_users=300",
    "--planted_items=250",
    "--group_size=8",
    "--num_candidates=16",
    "--batch_size=64",
    "--loss=squared_hinge",
    "--l2=0.03",
    "--dropout=0.3",
    "--average_decay=0.9",
    "--max_epochs=60",
    "--eval_every=4",
    "--checkpoint_minutes=0",
    "--show_users=1",
]


def run_here(folder, *flags):
    """The command to its end in this process, where starting costs nothing."""
    arguments = ["train", *FLAGS, *flags, f"--output_dir={folder}"]
    assert exit_code(train.main, "", [TrainConfig, DataConfig], arguments) == 0


def start(folder, *flags):
    command = [sys.executable, "-m", "gdns_tf.train", *FLAGS, *flags, f"--output_dir={folder}"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_epoch(process, folder, epoch):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        if (folder / "history.csv").exists() and epochs(folder)[-1:] >= [epoch]:
            return
        time.sleep(0.005)
    raise AssertionError(f"epoch {epoch} did not come")


def epochs(folder):
    with (folder / "history.csv").open(newline="") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file) if (row["epoch"] or "").isdigit() and row["mrr"]]


def everything_in(folder):
    """All that a finished run has learnt, tables and optimiser included, but for the time that it took."""
    reader = tf.train.load_checkpoint(str(folder / "checkpoints"))
    names = [n for n in reader.get_variable_to_shape_map() if not n.startswith(("state/seconds", "state/history"))]
    tensors = {name: reader.get_tensor(name) for name in names if "OBJECT_GRAPH" not in name}
    metrics = json.loads((folder / "metrics.json").read_text())
    kept = {k: v for k, v in metrics.items() if not k.startswith("seconds")}
    with (folder / "history.csv").open(newline="") as file:
        history = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    with np.load(folder / "weights.npz") as weights:
        return tensors | dict(weights), kept, history


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    run_here(folder)
    return everything_in(folder)


def assert_same(folder, undisturbed):
    (tensors, metrics, history), (expected, expected_metrics, expected_history) = everything_in(folder), undisturbed
    assert tensors.keys() == expected.keys()
    assert any("sampler/table/cells" in name for name in expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(tensors[name], value, err_msg=name)
    assert metrics == expected_metrics
    assert history == expected_history


def test_killed_and_then_interrupted_and_then_asked_again_when_done(tmp_path, undisturbed, capsys):
    folder = tmp_path / "run"
    process = start(folder)
    wait_for_epoch(process, folder, 8)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (folder / "metrics.json").exists()
    process = start(folder)
    wait_for_epoch(process, folder, 28)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on from there" in err
    assert "Traceback" not in err
    run_here(folder)
    assert "Going on after epoch" in capsys.readouterr().err
    assert_same(folder, undisturbed)
    run_here(folder)  # a finished run is reported again, not trained again
    assert_same(folder, undisturbed)
