"""Tuning from the command line: a real process killed, and searches interrupted and gone on with."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gdns_tf
from gdns_tf import cli, evaluate, tune
from gdns_tf.command import exit_code
from gdns_tf.training.config import TrainConfig
from gdns_tf.tuning.config import TuneConfig
from gdns_tf.tuning.folder import TuningFolder
from gdns_tf.tuning.trials import Watch
from pipelines.config import DataConfig

ROOT = Path(__file__).parents[2]
FLAGS = [
    "--dataset=planted",
    "--planted_users=150",
    "--planted_items=150",
    "--objective=multinomial",
    "--scorer=history",
    "--dim=4",
    "--batch_size=32",
    "--max_epochs=20",
    "--eval_every=1",
    "--patience=99",
    "--checkpoint_minutes=0",
    "--show_users=1",
    "--notensorboard",
    "--tune_minutes=600",
    "--tune_trials=3",
    "--search=dropout=0.0|0.1",
]


def run_here(folder, *flags, code=0):
    """The command to its end in this process, where starting costs nothing."""
    arguments = ["tune", *FLAGS, f"--output_dir={folder}", *flags]
    assert exit_code(tune.main, "", [TuneConfig, TrainConfig, DataConfig], arguments) == code


def start(folder, *flags):
    """A search in a process of its own."""
    command = [sys.executable, "-m", "gdns_tf.tune", *FLAGS, f"--output_dir={folder}", *flags]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process, folder, trial, epoch):
    """Until a trial has had a validation after an epoch."""
    history = folder / f"trials/{trial:04d}/history.csv"
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        if history.exists() and history.read_text().count("\n") > epoch:
            return
        time.sleep(0.01)
    raise AssertionError(f"epoch {epoch} of trial {trial} did not come")


def outcome(folder):
    """All that a search came to, but for times and places."""
    study = [
        (p.name, (p / "history.csv").read_text().count("\n"), (p / "pruned.txt").exists(), metrics_of(p))
        for p in sorted((folder / "trials").iterdir())
    ]
    return study, metrics_of(folder)


def metrics_of(folder):
    path = folder / "metrics.json"
    metrics = json.loads(path.read_text()) if path.exists() else {}
    return {name: value for name, value in metrics.items() if not name.startswith("seconds")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        run_here(folder)
    return folder, out.getvalue(), err.getvalue()


def test_it_says_what_it_found(undisturbed):
    folder, out, err = undisturbed
    assert "Best epoch" in out
    assert "may like:" in out
    assert f"the report {folder}/report.html" in out
    assert "Trial 0: ndcg@3 0." in err
    report = (folder / "report.md").read_text()
    for told in (
        "# Tuning on planted",
        "3 trials, ",
        "The validation figures are optimistic",
        "| history-multinomial (defaults) |",
        "| history-multinomial | dropout | 0.0, 0.1 |",
        "## What mattered to history-multinomial",
        "gdns_tf.fit(data, ",
        f"--flagfile={folder}/flags.txt",
        "`dim` 4, `seed` 0",
    ):
        assert told in report, told
    assert (folder / "tuning.png").read_bytes().startswith(b"\x89PNG")


def test_the_folder_is_a_run_to_the_other_commands(undisturbed, capsys):
    folder, *_ = undisturbed
    cli_exit = exit_code(evaluate.main, "", [evaluate.EvaluateConfig, DataConfig], ["evaluate", f"--run_dir={folder}"])
    assert cli_exit == 0
    assert f"{metrics_of(folder)['test']['ndcg@3']:.4f}" in capsys.readouterr().out
    assert gdns_tf.load(folder).metrics["test"] == metrics_of(folder)["test"]


def test_killed_and_then_stopped_it_ends_as_one_that_was_not(undisturbed, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    process = start(folder)
    wait_for(process, folder, trial=0, epoch=5)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (folder / "metrics.json").exists()
    on_epoch = Watch.on_epoch

    def stopped(watch, run, loss):
        if (run.folder.path.name, run.epoch) == ("0001", 3):
            signal.raise_signal(signal.SIGTERM)
        on_epoch(watch, run, loss)

    with monkeypatch.context() as patch:
        patch.setattr(Watch, "on_epoch", stopped)
        run_here(folder, code=130)
    assert "interrupted in trial 1; the same command goes on from there" in capsys.readouterr().err
    run_here(folder)
    assert outcome(folder) == outcome(undisturbed[0])


def test_other_flags_and_a_second_process_are_refused(undisturbed, capsys):
    folder, *_ = undisturbed
    run_here(folder, "--dim=8", code=1)
    assert "a search with --dim 4, not 8" in capsys.readouterr().err
    with TuningFolder(str(folder)).claimed():
        run_here(folder, code=1)
    assert "is at work there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tune_minutes=0"], "error: --tune_minutes=0.0 must be above 0"),
        (["--search=dim"], "error: --search: 'dim' is no setting with values"),
        (["--dim=4"], "error: --output_dir is not set"),
        (["--output_dir=gs://bucket/x"], "error: gs://bucket/x: tuning needs a folder of this machine"),
    ],
)
def test_what_cannot_work_is_said(flags, message, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gdns"])
    with pytest.raises(SystemExit) as stop:
        cli.main(["tune", "--dataset=planted", "--planted_users=120", "--planted_items=150", *flags])
    assert stop.value.code == 1
    assert message in capsys.readouterr().err
