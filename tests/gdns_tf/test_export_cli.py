"""`python -m gdns_tf.export`, also where it is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tensorflow as tf
from planted_runs import PLANTED, make_run, random_factors

from gdns_tf import export
from gdns_tf.command import exit_code
from gdns_tf.serving.export import export_run
from pipelines.config import DataConfig
from pipelines.load import load_dataset

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def planted_run(tmp_path_factory):
    dataset = load_dataset(PLANTED)
    return make_run(tmp_path_factory.mktemp("planted") / "run", PLANTED, dataset, random_factors(dataset))


def run(*arguments):
    return exit_code(export.main, export.__doc__, [export.ExportConfig, DataConfig], ["export", *map(str, arguments)])


def test_the_command_by_which_older_versions_go(planted_run, tmp_path, capsys):
    (tmp_path / "m/3").mkdir(parents=True)
    (tmp_path / "m/3/saved_model.pb").touch()
    flags = [f"--run_dir={planted_run}", f"--export_dir={tmp_path / 'm'}", "--version=4", "--k=7", "--fold_in_l2=3"]
    assert run(*flags, "--keep_versions=1", "--export_anyway") == 0
    shown = capsys.readouterr()
    assert shown.err.splitlines()[-2:] == [
        f"Exported version 4: {tmp_path / 'm' / '4'}",
        "Removed version 3: --keep_versions=1",
    ]
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["4"]
    assert shown.out == ""
    describe = tf.saved_model.load(str(tmp_path / "m/4")).signatures["describe"]
    k, fold_in, version = (json.loads(part) for part in describe(parts=["k", "fold_in", "version"])["json"].numpy())
    assert (k, fold_in["l2"], version) == (7, 3.0, 4)


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--version=4"], 1, "version 4 is there already, or is being written. Leave out --version"),
        (["--run_dir="], 1, "error: --run_dir is not set. Give the folder of a training run."),
        (["--export_dir="], 1, "error: --export_dir is not set"),
        (["--keep_versions=-1"], 1, "error: --keep_versions=-1 must be 0 or more"),
        (["--k=0"], 1, "error: --k=0 must be at least 1"),
        (["--version=-1"], 1, "error: --version=-1 must be 0 or more"),
        (["--fold_in_l2=0"], 1, "error: --fold_in_l2=0.0 must be above 0"),
        (["--planted_users=61"], 1, "trained on data with fingerprint"),
        (["--item_dtype=int8"], 2, "value should be one of <float32|float16>"),
        (["stray"], 2, "'stray' is no flag"),
    ],
)
def test_what_it_refuses(planted_run, tmp_path, capsys, more, code, message):
    (tmp_path / "m/4").mkdir(parents=True)
    assert run(f"--run_dir={planted_run}", f"--export_dir={tmp_path / 'm'}", *more) == code
    assert message in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["4"]


def test_a_killed_export_leaves_no_version_and_the_next_one_tidies_up(planted_run, tmp_path):
    folder = tmp_path / "models"
    command = [sys.executable, "-m", "gdns_tf.export", f"--run_dir={planted_run}", f"--export_dir={folder}"]
    command.append("--export_anyway")
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(folder.glob(".unfinished-1/variables/*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert [path.name for path in folder.iterdir()] == [".unfinished-1"]
    assert export_run(planted_run, folder, export_anyway=True) == folder / "1"
    assert [path.name for path in folder.iterdir()] == ["1"]
