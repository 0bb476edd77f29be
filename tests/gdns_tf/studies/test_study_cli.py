"""Studies from the command line: real processes, killed and interrupted, report and plots."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gdns_tf.studies.config import StudyConfig
from gdns_tf.studies.session import Session
from gdns_tf.study import study
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError

ROOT = Path(__file__).parents[3]
FLAGS = [
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
    "--patience=99",
    "--seeds=0,1",
    "--workers=2",
    "--checkpoint_minutes=0",
]
RUN = "runpy.run_module('gdns_tf.study', run_name='__main__')"
TABLE3 = ["--study=table3", "--systems=popularity,gdns", "--tune=l2=0.1", "--cost_rounds=1"]


def start(folder, *flags, sigint="default_int_handler"):
    """A study in a process of its own. Where a shell has started the tests in the background, they ignore SIGINT."""
    # Set by the process itself: a hook between fork and exec would run in a copy of this one, which holds threads of
    # gRPC and TensorFlow that a fork does not survive.
    program = f"import runpy, signal; signal.signal(signal.SIGINT, signal.{sigint}); {RUN}"
    command = [sys.executable, "-c", program, *FLAGS, f"--study_dir={folder}", *flags]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process, code=0):
    out, err = process.communicate(timeout=500)
    assert process.returncode == code, err
    return out + err


def results(folder):
    """What a study found, but for the time that it took."""
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith("seconds")} for row in rows]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "study"
    finish(start(folder, *TABLE3))
    return folder


def test_table3(undisturbed):
    rows = results(undisturbed)
    by = {phase: [row for row in rows if row["phase"] == phase] for phase in ("tuning", "final")}
    # Two shared alternatives and two of its own for a system that has any, and two seeds of each system.
    assert [row["label"] for row in by["tuning"]] == ["gdns"] * 4
    assert [(row["label"], row["seed"]) for row in by["final"]] == [
        (name, seed) for name in ("popularity", "gdns") for seed in (0, 1)
    ]
    assert all("test" not in row for row in by["tuning"])
    report = (undisturbed / "report.md").read_text()
    means = [row["test"]["ndcg@3"] for row in by["final"] if row["label"] == "gdns"]
    line = next(line for line in report.splitlines() if line.startswith("| GDNS |"))
    assert f"{sum(means) / 2:.4f} ±" in line
    for plot in re.findall(r"\((\w+\.png)\)", report):
        assert (undisturbed / plot).read_bytes().startswith(b"\x89PNG")
    page = (undisturbed / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(re.findall(r"\((\w+\.png)\)", report))
    tuned = json.loads((undisturbed / "tuned.json").read_text())
    best = max((row for row in by["tuning"] if row["label"] == "gdns"), key=lambda row: row["valid"]["ndcg@3"])
    flags = (undisturbed.parent / "trials" / best["folder"] / "flags.txt").read_text()
    assert all(f"--{name}={value}" in flags for name, value in tuned["gdns"].items())


def test_killed_and_interrupted_it_ends_the_same(undisturbed, tmp_path):
    folder, trials = tmp_path / "study", tmp_path / "trials"
    for number, sigint in (
        (signal.SIGKILL, "default_int_handler"),
        (signal.SIGINT, "default_int_handler"),
        (signal.SIGTERM, "SIG_IGN"),
    ):
        before = len(list(trials.glob("*/ranks.npz")))
        process = start(folder, *TABLE3, sigint=sigint)
        deadline = time.monotonic() + 400
        # One more than it found: two workers may have ended theirs at once, and what was done before says nothing of it.
        while len(list(trials.glob("*/ranks.npz"))) == before:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, number)
        if number != signal.SIGKILL:
            assert "the same command goes on from there" in finish(process, 130)
        else:
            process.communicate()
    finish(start(folder, *TABLE3))
    assert results(folder) == results(undisturbed)


def test_figures_from_the_same_trials(undisturbed):
    """The others find the final runs of table3 done, where the flags are the same, and report in turn."""
    root = undisturbed.parent
    before = set((root / "trials").iterdir())
    finish(start(root / "ablation", "--study=ablation", "--systems=gdns"))
    finish(start(root / "candidates", "--study=candidates", "--values=4,8"))
    assert "fall since the peak" in (root / "ablation/report.md").read_text()
    assert "Best on validation" in (root / "candidates/report.md").read_text()
    assert len(results(root / "candidates")) == 4
    new = {path.name for path in set((root / "trials").iterdir()) - before}
    assert 0 < len(new) <= 6


def test_false_negatives_and_grid(tmp_path):
    finish(start(tmp_path / "fn", "--study=false_negatives", "--systems=gdns", "--seeds=0", "--workers=1"))
    assert "AUC of G" in (tmp_path / "fn/report.md").read_text()
    finish(start(tmp_path / "grid", "--study=grid", "--vary=sampler=uniform|gdns", "--seeds=0", "--workers=1"))
    assert len(results(tmp_path / "grid")) == 2


def test_what_cannot_work_is_said_in_a_line(tmp_path):
    output = finish(start(tmp_path / "study", "--systems=gdns", "--dataset=srns", "--data_dir=nowhere"), 1)
    assert "nowhere" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"study": "ablation", "tuned_by": "nowhere"}, "there is no tuned.json"),
        ({"study": "group_size", "values": ("0",)}, "`group_size`=0 must be at least 1"),
    ],
)
def test_what_cannot_work_is_refused_before_any_training(tmp_path, flags, message):
    session = Session(DataConfig(), TrainConfig(), StudyConfig(study_dir=str(tmp_path / "study"), **flags))
    with pytest.raises(InputError, match=message):
        study(session)
    assert not list(tmp_path.rglob("trials"))
