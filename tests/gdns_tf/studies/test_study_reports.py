"""Studies from the command line, in this process: their figures, reports and plots, and what they refuse."""

import json
import re

import pytest
from here import trials_run_here

from gdns_tf import study
from gdns_tf.command import exit_code
from gdns_tf.studies.config import StudyConfig
from gdns_tf.studies.session import Session
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError

FLAGS = [
    "--dataset=planted",
    "--planted_users=150",
    "--planted_items=200",
    "--group_size=4",
    "--num_candidates=8",
    "--dim=4",
    "--batch_size=64",
    "--loss=squared_hinge",
    "--max_epochs=4",
    "--eval_every=2",
    "--patience=99",
    "--seeds=0,1",
]


def run(folder, *flags, code=0):
    """A study by its command; the trials that it asked for."""
    with trials_run_here() as asked:
        arguments = ["study", *FLAGS, f"--study_dir={folder}", *flags]
        assert exit_code(study.main, "", [StudyConfig, TrainConfig, DataConfig], arguments) == code
    return asked


def results(folder):
    """What a study found."""
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def table3(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table3") / "study"
    run(folder, "--study=table3", "--systems=popularity,gdns", "--tune=l2=0.1", "--cost_rounds=1")
    return folder


def test_table3(table3):
    rows = results(table3)
    by = {phase: [row for row in rows if row["phase"] == phase] for phase in ("tuning", "final")}
    # Two shared alternatives and two of its own for a system that has any, and two seeds of each system.
    assert [row["label"] for row in by["tuning"]] == ["gdns"] * 4
    assert [(row["label"], row["seed"]) for row in by["final"]] == [
        (name, seed) for name in ("popularity", "gdns") for seed in (0, 1)
    ]
    assert all("test" not in row for row in by["tuning"])
    report = (table3 / "report.md").read_text()
    means = [row["test"]["ndcg@3"] for row in by["final"] if row["label"] == "gdns"]
    line = next(line for line in report.splitlines() if line.startswith("| GDNS |"))
    assert f"{sum(means) / 2:.4f} ±" in line
    for plot in re.findall(r"\((\w+\.png)\)", report):
        assert (table3 / plot).read_bytes().startswith(b"\x89PNG")
    page = (table3 / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(re.findall(r"\((\w+\.png)\)", report))
    tuned = json.loads((table3 / "tuned.json").read_text())
    best = max((row for row in by["tuning"] if row["label"] == "gdns"), key=lambda row: row["valid"]["ndcg@3"])
    flags = (table3.parent / "trials" / best["folder"] / "flags.txt").read_text()
    assert all(f"--{name}={value}" in flags for name, value in tuned["gdns"].items())


def test_figures_from_the_same_trials(table3):
    """The others find the final runs of table3 done, where the flags are the same, and report in turn."""
    root = table3.parent
    before = set((root / "trials").iterdir())
    run(root / "ablation", "--study=ablation", "--systems=gdns")
    run(root / "candidates", "--study=candidates", "--values=4,8")
    assert "fall since the peak" in (root / "ablation/report.md").read_text()
    assert "Best on validation" in (root / "candidates/report.md").read_text()
    assert len(results(root / "candidates")) == 4
    new = {path.name for path in set((root / "trials").iterdir()) - before}
    assert 0 < len(new) <= 6


def test_false_negatives_and_grid(table3):
    root = table3.parent
    run(root / "fn", "--study=false_negatives", "--systems=gdns", "--seeds=0")
    assert "AUC of G" in (root / "fn/report.md").read_text()
    run(root / "grid", "--study=grid", "--vary=sampler=uniform|gdns", "--seeds=0")
    assert len(results(root / "grid")) == 2


def test_what_cannot_work_is_said_in_a_line(tmp_path, capfd):
    run(tmp_path / "study", "--systems=gdns", "--dataset=srns", "--data_dir=nowhere", code=1)
    error = capfd.readouterr().err
    assert "nowhere" in error
    assert "Traceback" not in error


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
        study.study(session)
    assert not list(tmp_path.rglob("trials"))
