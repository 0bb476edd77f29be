"""Our model against others: the same number of trials for each, seeds where they matter, and what the report says.

Trials run in this process: that they run in others, and go on where they stopped, is tested with the other studies.
"""

import json
import re
import sys

import numpy as np
import pytest
from here import trials_run_here

from gdns_tf.evaluation.significance import paired_bootstrap
from gdns_tf.studies.comparison import per_user
from gdns_tf.studies.config import StudyConfig
from gdns_tf.studies.peer_systems import PEERS, Contender, contenders, ours
from gdns_tf.studies.session import Session
from gdns_tf.studies.trial import read_result
from gdns_tf.study import study
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError

DATA = DataConfig(planted_users=150, planted_items=200)
RECIPE = TrainConfig.from_settings(max_epochs=2, eval_every=1, select="full_ndcg@20")


def session_in(folder, **changes):
    peers = ("popularity", "ease", "ials_scaled:4", "gdns_tf", "gdns_tf_defaults")
    settings = {"peers": peers, "dims": (4, 6), "tuning_trials": 2, "seeds": (0, 1)} | changes
    return Session(DATA, RECIPE, StudyConfig(study="peers", study_dir=str(folder / "study"), **settings))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The study, and all trials that it ran."""
    folder = tmp_path_factory.mktemp("peers")
    with trials_run_here(expected_trials_a_process=1) as ran:
        study(session_in(folder))
    return folder / "study", ran


def rows_of(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def test_every_system_is_tuned_by_as_many_trials_and_never_by_test(done):
    tuning = [row for row in rows_of(done[0]) if row["phase"] == "tuning"]
    labels = [row["label"] for row in tuning]
    assert sorted(labels) == sorted(["ease", "ials_scaled_4", "gdns_tf_4", "gdns_tf_6"] * 2)
    assert all("test" not in row and "full_test" not in row for row in tuning)
    assert {row["seed"] for row in tuning if row["label"] != "ease"} == {100}


def test_final_runs_are_of_all_seeds_where_seeds_matter(done):
    final = [(row["label"], row["seed"]) for row in rows_of(done[0]) if row["phase"] == "final"]
    sized = ["iALS (d = 4)", "gdns_tf (d = 4)", "gdns_tf (d = 6)", "gdns_tf untuned (d = 4)", "gdns_tf untuned (d = 6)"]
    assert final == [("Popularity", 0), ("EASE", 0), *((label, seed) for label in sized for seed in (0, 1))]


def test_the_best_on_validation_is_chosen(done):
    folder, ran = done
    results = [read_result(trial, folder.parent / "trials") for trial in ran]
    tried = {
        r.trial.options: np.mean(1 / np.log2(r.ranks["full_valid"].places + 2) * (r.ranks["full_valid"].places < 20))
        for r in results
        if r.trial.task == "ials_scaled" and r.trial.config.seed == 100
    }
    chosen = json.loads((folder / "tuned.json").read_text())
    assert len(tried) == 2
    assert tuple(sorted(chosen["iALS (d = 4)"].items())) == max(tried, key=tried.get)
    assert chosen["gdns_tf untuned (d = 4)"] == {}


def test_the_report_has_the_means_the_tests_and_the_plots(done):
    folder, ran = done
    text = (folder / "report.md").read_text()
    rows = [row for row in rows_of(folder) if row["phase"] == "final"]
    line = next(line for line in text.splitlines() if line.startswith("| iALS (d = 4) |"))
    for metric in ("ndcg@10", "recall@20"):
        assert f"{np.mean([r['full_test'][metric] for r in rows if r['label'] == 'iALS (d = 4)']):.4f} ±" in line
    ease = next(row for row in rows if row["label"] == "EASE")
    assert f"| EASE | {ease['coverage@20']:.4f} | {ease['gini@20']:.4f} | {ease['novelty@20']:.4f}" in text
    assert "validation full NDCG@20" in text
    for plot in re.findall(r"\((\w+\.png)\)", text):
        assert (folder / plot).read_bytes().startswith(b"\x89PNG")
    # Each against ours of its size.
    trials = {t: read_result(t, folder.parent / "trials") for t in ran}

    def group(task, chosen):
        found = [r for t, r in trials.items() if t.task == task and t.config.dim == 4 and t.config.seed != 100]
        folders = {row["folder"] for row in rows if row["label"] == chosen}
        return per_user([r.ranks["test"] for r in found if r.folder.name in folders], "ndcg@3")

    expected = paired_bootstrap((group("ials_scaled", "iALS (d = 4)") - group("train", "gdns_tf (d = 4)"))[None])[0]
    assert f"| iALS (d = 4) | gdns_tf (d = 4) | {expected.difference:+.4f} [" in text
    assert re.search(r"\| EASE \| gdns_tf \(d = [46]\) \| [+-]", text)


def test_ours_is_tuned_around_the_recipe():
    settings = RECIPE.settings()
    space = ours(RECIPE)
    for name, values in space.items():
        assert values.low == settings[name] / 2
        assert settings[name] < values.high <= 2 * settings[name]
    assert {"user_l2", "history_dropout", "learning_rate"} == set(space)
    assert ours(RECIPE.with_settings(history_dropout=0.8))["history_dropout"].high == 0.9
    assert "user_l2" not in ours(RECIPE.with_settings(user_l2=0.0))


def test_contenders():
    assert contenders(["knn", "bpr:8", "warp"], [2, 4]) == [
        Contender("knn", None),
        Contender("bpr", 8),
        Contender("warp", 2),
        Contender("warp", 4),
    ]
    assert contenders(["bpr:2", "bpr"], [2]) == [Contender("bpr", 2)]
    assert all(PEERS[c.name].learns_factors == (c.dim is not None) for c in contenders(PEERS, [2]))


def test_a_missing_package_is_told_before_any_training(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightfm", None)
    with pytest.raises(InputError, match="WARP needs the package lightfm"):
        study(session_in(tmp_path, peers=("gdns_tf", "warp")))
    assert not list(tmp_path.rglob("trials"))
