"""Studies from the command line: real processes, killed and interrupted, end as one that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from here import trials_run_here

from gdns_tf import study
from gdns_tf.command import exit_code
from gdns_tf.studies.config import StudyConfig
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig

ROOT = Path(__file__).parents[3]
FLAGS = [
    "--study=grid",
    "--vary=sampler=uniform|nncf",
    "--dataset=planted",
    "--planted_users=150",
    "--planted_items=200",
    "--group_size=4",
    "--num_candidates=8",
    "--dim=4",
    "--batch_size=64",
    "--loss=squared_hinge",
    "--max_epochs=8",
    "--eval_every=2",
    "--seeds=0,1",
    "--checkpoint_minutes=0",
]
RUN = "runpy.run_module('gdns_tf.study', run_name='__main__')"


def start(folder, workers, sigint="default_int_handler"):
    """A study in a process of its own. Where a shell has started the tests in the background, they ignore SIGINT."""
    # Set by the process itself: a hook between fork and exec would run in a copy of this one, which holds threads of
    # gRPC and TensorFlow that a fork does not survive.
    program = f"import runpy, signal; signal.signal(signal.SIGINT, signal.{sigint}); {RUN}"
    return subprocess.Popen(
        [sys.executable, "-c", program, *FLAGS, f"--workers={workers}", f"--study_dir={folder}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_here(folder):
    """The study to its end in this process, where starting costs nothing; returns its exit code."""
    arguments = ["study", *FLAGS, f"--study_dir={folder}"]
    return exit_code(study.main, "", [StudyConfig, TrainConfig, DataConfig], arguments)


def finish(process, code):
    out, err = process.communicate(timeout=500)
    assert process.returncode == code, err
    return out + err


def results(folder):
    """What a study found, but for the time that it took."""
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith("seconds")} for row in rows]


def test_killed_and_then_stopped_it_ends_the_same(tmp_path):
    folder, trials = tmp_path / "study", tmp_path / "trials"
    with trials_run_here():
        assert run_here(tmp_path / "undisturbed/study") == 0
    for stop, workers, sigint in ((signal.SIGKILL, 1, "default_int_handler"), (signal.SIGTERM, 2, "SIG_IGN")):
        before = len(list(trials.glob("*/ranks.npz")))
        process = start(folder, workers, sigint)
        deadline = time.monotonic() + 400
        # One more than it found: two workers may have ended theirs at once.
        while len(list(trials.glob("*/ranks.npz"))) == before:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, stop)
        if stop != signal.SIGKILL:
            assert "the same command goes on from there" in finish(process, 130)
        else:
            process.communicate()
    with trials_run_here():
        assert run_here(folder) == 0
    assert results(folder) == results(tmp_path / "undisturbed/study")
    assert len(results(folder)) == 4
