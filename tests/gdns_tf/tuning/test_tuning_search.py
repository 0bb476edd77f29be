"""A search in this process: what it tries, what it chooses, how it is broken off, gone on with and refused.

What a search does with its trials, whatever they learn, is looked at with a stand-in for what is trained.
"""

import json
import logging
import signal
import sys
import zlib

import numpy as np
import optuna
import pytest
import tensorflow as tf
from tiny_runs import TinyTrainer, train_tiny

import gdns_tf
from gdns_tf.evaluation.baselines import popularity
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.flags import read_config
from gdns_tf.runs.interrupts import Interrupted
from gdns_tf.runs.loading import load_model
from gdns_tf.runs.run import Run
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.samplers import gain_table_config
from gdns_tf.training.config import TrainConfig
from gdns_tf.tuning import plots
from pipelines.errors import InputError

HISTORY = {"objective": "multinomial", "scorer": "history", "dim": 4, "batch_size": 64, "max_epochs": 4}
QUICK = HISTORY | {"eval_every": 1, "progress": False, "tensorboard": False}
HOURS = {"tune_minutes": 600.0}
"""So long that the number of trials ends the search, and no clock."""


class Wanders(TinyTrainer):
    """Learns nothing: weights wander at random, by other ways for other settings. Diverges at a rate of 1 and more."""

    def __init__(self, train, config, _replicas=None):
        super().__init__(train, config)
        self.diverges = config.learning_rate >= 1
        settings = {name: value for name, value in config.settings().items() if name not in ELSEWHERE}
        self.sampler.step.assign(zlib.crc32(repr(sorted(settings.items())).encode()))

    def make_train_function(self):
        wander = super().make_train_function()
        return lambda batches: {"loss": np.inf} if self.diverges else wander(batches)


ELSEWHERE = ("output_dir", "export_dir", "max_minutes", "overwrite", "refit")
"""Settings that no weight depends on."""


def train_stand_in(monkeypatch):
    """Has all trials train the stand-in, and no search be drawn, which takes as long as all of its trials then."""
    train_tiny(monkeypatch, Wanders)
    monkeypatch.setattr(plots, "plot", lambda path, *_: path.touch())


@pytest.fixture
def stand_in(monkeypatch):
    train_stand_in(monkeypatch)


@pytest.fixture(scope="module")
def data():
    return gdns_tf.Dataset.load("planted", planted_users=120, planted_items=150)


def tuned(data, folder, trials, **changes):
    return gdns_tf.fit(data, output_dir=folder, tune_trials=trials, **HOURS | QUICK | changes)


def trials_of(folder):
    study = optuna.load_study(study_name="tuning", storage=f"sqlite:///{folder}/study.db")
    return study.trials


@pytest.fixture(scope="module")
def searched(data, tmp_path_factory):
    """A search of four trials, its folder and its model."""
    folder = tmp_path_factory.mktemp("searched") / "run"
    return folder, tuned(data, folder, 4, tensorboard=True)


@pytest.fixture(scope="module")
def searched_by_stand_in(data, tmp_path_factory):
    """The folder of a search of four trials of the stand-in."""
    folder = tmp_path_factory.mktemp("searched_by_stand_in") / "run"
    with pytest.MonkeyPatch.context() as patch:
        train_stand_in(patch)
        tuned(data, folder, 4)
    return folder


def test_the_best_validation_is_chosen_and_its_run_is_the_folders(data, searched):
    folder, model = searched
    trials = trials_of(folder)
    assert len(trials) == 4
    done = [t for t in trials if t.state == optuna.trial.TrialState.COMPLETE]
    best = max(done, key=lambda t: t.value)
    assert model.metrics["valid"]["ndcg@3"] == best.value
    assert max(best.intermediate_values.values()) == best.value
    assert model.config.user_l2 == float(f"{best.params['history-multinomial.user_l2']:.3g}")
    with np.load(folder / "weights.npz") as mine, np.load(folder / f"trials/{best.number:04d}/weights.npz") as its:
        for name in its:
            np.testing.assert_array_equal(mine[name], its[name])
    loaded = gdns_tf.load(folder)
    assert loaded.metrics == model.metrics
    np.testing.assert_array_equal(loaded.factors.queries, model.factors.queries)


def test_the_report_says_how_much_is_chance(data, searched):
    folder, _ = searched
    ndcg = evaluate(load_model(folder, data), data, "valid").per_user()["ndcg@3"]
    error = np.sqrt(np.var(ndcg, ddof=1) / len(ndcg))
    report = (folder / "report.md").read_text()
    assert f"the standard error of a validation is {error:.4f}" in report
    assert "4 trials, 4 finished, in " in report
    popular = evaluate(popularity(data.train), data, "test").means()["ndcg@3"]
    assert f" {popular:.4f} |\n" in report
    for trial in trials_of(folder):
        assert f"| {trial.value:.4f} | 4 |" in report


def test_the_defaults_are_the_first_trial_and_train_as_they_do_untuned(data, searched, tmp_path):
    folder, _ = searched
    untuned = gdns_tf.fit(data, output_dir=tmp_path / "untuned", **QUICK)
    assert trials_of(folder)[0].value == untuned.metrics["valid"]["ndcg@3"]
    first = gdns_tf.load(folder / "trials/0000", data)
    np.testing.assert_array_equal(first.factors.queries, untuned.factors.queries)


def test_trials_are_ordinary_runs_that_say_nothing_of_test(searched):
    folder, model = searched
    assert model.metrics["test"]
    for trial in trials_of(folder):
        run = RunFolder(folder / f"trials/{trial.number:04d}")
        config = read_config(run.flags, TrainConfig)
        assert config.output_dir == str(run.path)
        assert (config.dim, config.scorer, config.objective) == (4, "history", "multinomial")
        assert run.history.exists()
        assert list(run.tensorboard.glob("events*"))
        assert not run.checkpoints.exists()
        assert "test" not in run.read_metrics()
    assert list((folder / "tensorboard").glob("events*"))


def test_the_command_in_the_report_makes_the_chosen_model_again(data, searched, tmp_path):
    folder, model = searched
    report = (folder / "report.md").read_text()
    (call,) = [line for line in report.splitlines() if line.startswith("gdns_tf.fit(")]
    again = eval(call, {"gdns_tf": gdns_tf, "data": data})
    np.testing.assert_array_equal(again.factors.queries, model.factors.queries)


@pytest.mark.usefixtures("stand_in")
def test_a_search_that_was_broken_off_proposes_what_one_does_that_was_not(data, searched_by_stand_in, tmp_path):
    whole = searched_by_stand_in
    for trials in (2, 4):
        tuned(data, tmp_path / "run", trials)
    assert [t.params for t in trials_of(tmp_path / "run")] == [t.params for t in trials_of(whole)]
    assert [t.value for t in trials_of(tmp_path / "run")] == [t.value for t in trials_of(whole)]


def test_a_search_that_is_done_is_read(data, searched, monkeypatch):
    folder, model = searched
    monkeypatch.setattr(TrialRun, "on_epoch", lambda *_: pytest.fail("it trains"))
    again = tuned(data, folder, 4, tensorboard=True, callbacks=[TrialRun()])
    np.testing.assert_array_equal(again.factors.queries, model.factors.queries)


class TrialRun(gdns_tf.Callback):
    """Looks on; tests give it something to do."""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 8}, "a search with `dim` 4, not 8"),
        ({"user_l2": 1.0}, r"a search with `user_l2` searched over .* \(log\), not 1\.0"),
        ({"scorer": "gmf"}, "a search among history-multinomial, not gmf-multinomial"),
        ({"select": "mrr", "seed": 3}, r"`seed` 0, not 3 \(1 more differ\)"),
    ],
)
def test_another_search_is_refused(data, searched, changes, message):
    with pytest.raises(InputError, match=message):
        tuned(data, searched[0], 6, **changes)


@pytest.mark.usefixtures("stand_in")
def test_other_data_is_refused_and_overwrite_starts_afresh(data, tmp_path):
    tuned(data, tmp_path / "run", 1)
    other = gdns_tf.Dataset.load("planted", planted_users=121, planted_items=150)
    with pytest.raises(InputError, match=f"made on data {data.fingerprint}, and the data is now {other.fingerprint}"):
        tuned(other, tmp_path / "run", 1)
    model = tuned(other, tmp_path / "run", 1, overwrite=True)
    assert model.data.train.num_users == 121
    assert gdns_tf.load(tmp_path / "run").data.fingerprint == other.fingerprint


@pytest.mark.usefixtures("stand_in")
def test_folders_that_hold_something_else_are_refused(data, tmp_path, store):
    gdns_tf.fit(data, output_dir=tmp_path / "run", **QUICK)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/letter.txt").touch()
    for folder, message in (
        (tmp_path / "run", "holds a run that was not tuned"),
        (tmp_path / "other", "is not empty and holds no search"),
        (f"{store}/run", "tuning needs a folder of this machine"),
    ):
        with pytest.raises(InputError, match=message):
            tuned(data, folder, 1)
    assert tuned(data, tmp_path / "run", 1, overwrite=True).metrics


@pytest.mark.usefixtures("stand_in")
def test_a_damaged_database_is_said(data, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/study.db").write_text("no database " * 100)
    with pytest.raises(InputError, match=r"study\.db: the database of the search cannot be read"):
        tuned(data, tmp_path / "run", 1)
    assert tuned(data, tmp_path / "run", 1, overwrite=True).metrics


def test_without_optuna_it_says_what_to_install(data, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("gdns_tf.tuning.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"needs the package optuna. pip install 'gdns_tf\[tune\]'"):
        tuned(data, tmp_path / "run", 1)
    assert not (tmp_path / "run").exists()


def test_settings_of_tuning_go_with_tuning(data):
    with pytest.raises(InputError, match="`tune_trials` is of tuning, which was not asked for"):
        gdns_tf.fit(data, tune_trials=3, **QUICK)
    with pytest.raises(InputError, match=r"`tune_minutes`=0\.0 must be above 0"):
        gdns_tf.fit(data, tune_minutes=0, **QUICK)


@pytest.mark.usefixtures("stand_in")
def test_a_trial_that_diverges_is_a_failed_trial(data, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="gdns_tf"):
        model = tuned(data, tmp_path / "run", 2, search=("learning_rate=0.02|1e30",), seed=1, init_scale=0.05)
        for trials in range(3, 9):  # until the bad one is proposed
            if "failed" in caplog.text:
                break
            model = tuned(data, tmp_path / "run", trials, search=("learning_rate=0.02|1e30",), seed=1, init_scale=0.05)
    assert "diverged" in caplog.text
    (failed, *_) = [t for t in trials_of(tmp_path / "run") if t.state == optuna.trial.TrialState.FAIL]
    folder = tmp_path / f"run/trials/{failed.number:04d}"
    assert "diverged" in (folder / "failed.txt").read_text()
    assert not (folder / "checkpoints").exists()
    assert model.config.learning_rate == 0.02
    assert "failed" in (tmp_path / "run/report.md").read_text()


def test_where_every_trial_diverges_it_says_so(data, tmp_path):
    with pytest.raises(FloatingPointError, match="every trial diverged"):
        tuned(data, tmp_path / "run", 1, learning_rate=1e30)


@pytest.mark.usefixtures("stand_in")
def test_a_hopeless_trial_is_pruned_with_a_note(data, tmp_path, monkeypatch):
    from gdns_tf.tuning import search
    from gdns_tf.tuning.pruning import MedianOfPeers

    monkeypatch.setattr(search, "MedianOfPeers", lambda: MedianOfPeers(min_peers=1))
    model = tuned(data, tmp_path / "run", 6)
    pruned = [t for t in trials_of(tmp_path / "run") if t.state == optuna.trial.TrialState.PRUNED]
    assert pruned
    assert 0 not in [t.number for t in pruned]
    for trial in pruned:
        folder = RunFolder(tmp_path / f"run/trials/{trial.number:04d}")
        assert f"pruned after epoch {trial.last_step}" in (folder.path / "pruned.txt").read_text()
        assert max(trial.intermediate_values.values()) < model.metrics["valid"]["ndcg@3"]
        assert not folder.checkpoints.exists()
        assert not folder.weights.exists()


@pytest.mark.usefixtures("stand_in")
def test_when_the_time_is_up_the_first_trial_is_finished_all_the_same(data, tmp_path):
    model = gdns_tf.fit(data, output_dir=tmp_path / "run", tune_minutes=1e-6, **QUICK)
    assert model.metrics["epochs"] == 4
    assert [t.number for t in trials_of(tmp_path / "run") if t.state.is_finished()] == [0]


@pytest.mark.usefixtures("stand_in")
def test_a_trial_under_way_when_the_time_is_up_is_gone_on_with_later(data, tmp_path, monkeypatch):
    from gdns_tf.tuning.budget import Budget

    over = [False]
    monkeypatch.setattr(Budget, "is_over", property(lambda self: over[0]))

    class TimeUp(gdns_tf.Callback):
        def on_epoch(self, run, loss):
            over[0] |= run.folder.path.name == "0001" and run.epoch == 2

    tuned(data, tmp_path / "run", 3, callbacks=[TimeUp()])
    trials = trials_of(tmp_path / "run")
    assert [t.state.is_finished() for t in trials] == [True, False]
    assert "1 under way when the time was up" in (tmp_path / "run/report.md").read_text()
    over[0] = False
    begun_at = {}

    class Look(gdns_tf.Callback):
        def on_start(self, run):
            begun_at[run.folder.path.name] = run.epoch

    tuned(data, tmp_path / "run", 3, callbacks=[Look()])
    assert begun_at["0001"] == 2
    undisturbed = tuned(data, tmp_path / "undisturbed", 3)
    assert [t.value for t in trials_of(tmp_path / "run")] == [t.value for t in trials_of(tmp_path / "undisturbed")]
    assert undisturbed.metrics["valid"] == gdns_tf.load(tmp_path / "run").metrics["valid"]


class Stop(gdns_tf.Callback):
    """Ctrl-C in a trial, after an epoch."""

    def __init__(self, trial, epoch):
        self.trial, self.epoch = trial, epoch

    def on_epoch(self, run, loss):
        if run.folder.path.name == self.trial and run.epoch == self.epoch:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("stand_in")
def test_interrupted_in_a_folder_it_goes_on_there(data, searched_by_stand_in, tmp_path):
    with pytest.raises(Interrupted, match="in trial 2; the same command goes on"):
        tuned(data, tmp_path / "run", 4, callbacks=[Stop("0002", 2)])
    assert not (tmp_path / "run/weights.npz").exists()
    tuned(data, tmp_path / "run", 4)
    assert [t.value for t in trials_of(tmp_path / "run")] == [t.value for t in trials_of(searched_by_stand_in)]


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(("trial", "epoch"), [("0000", 2), ("0001", 3)])
def test_interrupted_without_a_folder_it_returns_the_best_so_far(data, caplog, trial, epoch):
    with caplog.at_level(logging.WARNING, logger="gdns_tf"):
        model = gdns_tf.fit(data, tune_trials=3, callbacks=[Stop(trial, epoch)], **HOURS | QUICK)
    assert "the best model so far is returned" in caplog.text
    assert model.metrics["epochs"] == (2 if trial == "0000" else 4)
    assert len(model.recommend(model.data.train.user_ids[:1], k=3)) == 3


@pytest.mark.usefixtures("stand_in")
def test_pairs_are_cut_short_at_their_share_of_the_time_and_made_again_by_epochs(data, tmp_path, monkeypatch):
    from gdns_tf.tuning import search

    settings = QUICK | {"scorer": "gmf", "objective": "pairs", "sampler": "uniform", "group_size": 8}
    settings |= {"num_candidates": 16, "max_epochs": 30, "patience": 99}
    monkeypatch.setattr(search, "SHARE", 1e-12)
    monkeypatch.setattr(
        Run, "seconds", property(lambda self: 1e-9)
    )  # what the defaults took: so that one epoch is enough
    tuned(data, tmp_path / "run", 3, **settings)
    trials = trials_of(tmp_path / "run")
    assert trials[0].user_attrs["epochs"] == 30
    assert all(t.user_attrs["stopped_by"] == "max_minutes" for t in trials[1:])


@pytest.mark.usefixtures("stand_in")
def test_refit_and_export_are_of_the_chosen_one(data, tmp_path):
    model = tuned(data, tmp_path / "run", 2, refit=True, export_dir=str(tmp_path / "shop"), export_anyway=True)
    assert (tmp_path / "run/refit/weights.npz").exists()
    assert not list((tmp_path / "run/trials").glob("*/refit"))
    (version,) = (tmp_path / "shop").glob("[0-9]*")
    assert json.loads((tmp_path / "run/metrics.json").read_text()) == model.metrics
    assert tf.saved_model.load(str(version)).signatures


@pytest.mark.usefixtures("stand_in")
def test_a_chosen_one_that_is_no_better_than_popularity_is_told_and_not_exported(data, tmp_path, caplog):
    settings = {"learning_rate": 1e-9, "export_dir": str(tmp_path / "shop")}
    with pytest.raises(InputError, match="not fit to be served: validation ndcg@3"):
        tuned(data, tmp_path / "run", 2, **settings)
    assert not (tmp_path / "shop").exists()
    assert caplog.text.count("The model is no better than") == 1  # of the chosen one, not of every trial
    assert "popularity" in RunFolder(tmp_path / "run/trials/0001").read_metrics()


@pytest.mark.usefixtures("stand_in")
def test_data_of_a_dataframe_stays_with_the_folder(tmp_path):
    from gdns_tf.examples.clicks import make_clicks

    clicks = gdns_tf.Dataset.from_dataframe(make_clicks(num_users=120, num_items=150), timestamp="ts")
    model = tuned(clicks, tmp_path / "run", 2)
    assert len(list((tmp_path / "run").rglob("data.npz"))) == 1
    again = tuned(gdns_tf.load(tmp_path / "run").data, tmp_path / "run", 2)
    np.testing.assert_array_equal(again.factors.queries, model.factors.queries)
    assert gdns_tf.load(tmp_path / "run/trials/0000").data.fingerprint == clicks.fingerprint


def test_a_model_whose_tables_are_too_large_fails_alone(data, tmp_path, monkeypatch):
    monkeypatch.setattr(gain_table_config, "memory_for_variables", lambda: (1.0, "memory"))
    settings = {"dim": 4, "max_epochs": 1, "progress": False, "tensorboard": False, **HOURS}
    model = gdns_tf.fit(data, output_dir=tmp_path / "run", tune_trials=3, scorer="gmf", **settings)
    states = [trial.state for trial in trials_of(tmp_path / "run")]
    assert states == [optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL, optuna.trial.TrialState.COMPLETE]
    assert "gain table" in (tmp_path / "run/trials/0001/failed.txt").read_text()
    assert model.config.sampler != "gdns" or model.config.objective == "multinomial"
