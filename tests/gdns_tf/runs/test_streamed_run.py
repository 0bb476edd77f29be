"""Whole runs on data that is read from its shards: to their end, broken off and gone on with, measured, exported."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from planted_runs import make_run, random_factors
from streamed import PLANTED, SPLIT, streamed_at

import gdns_tf
from gdns_tf import evaluate as evaluate_command
from gdns_tf.command import exit_code
from gdns_tf.evaluation.beyond_accuracy import beyond_accuracy_of
from gdns_tf.evaluation.fitness import objections
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.evaluation.selection import SelectionMetric
from gdns_tf.models.factors import HistorySum
from gdns_tf.models.history import History
from gdns_tf.runs.callbacks import Callback
from gdns_tf.runs.interrupts import Interrupted
from gdns_tf.runs.loading import load_compared
from gdns_tf.runs.summary import format_metrics
from gdns_tf.runs.train import train
from gdns_tf.serving.export import export_run
from gdns_tf.serving.float16 import effect_of_rounding
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.sample import sampled

SETTINGS = {
    "sampler": "gdns",
    "group_size": 4,
    "num_candidates": 8,
    "dim": 4,
    "batch_size": 25,
    "learning_rate": 0.3,
    "max_epochs": 6,
    "eval_every": 2,
    "checkpoint_minutes": 60.0,
    "tensorboard": False,
}


@pytest.fixture(scope="module")
def streamed(tmp_path_factory):
    return streamed_at(tmp_path_factory.mktemp("data") / "shards")


class BreakOff(Callback):
    """Has a run break off after an epoch, as a signal does."""

    def __init__(self, epoch):
        self._epoch = epoch

    def on_epoch(self, run, loss):
        if run.epoch == self._epoch:
            run.interrupt()


def learnt(folder):
    """All that a finished run has learnt, tables and optimiser included, and its metrics but for the time."""
    reader = tf.train.load_checkpoint(str(folder / "checkpoints"))
    names = [n for n in reader.get_variable_to_shape_map() if not n.startswith(("state/seconds", "state/history", "_"))]
    metrics = json.loads((folder / "metrics.json").read_text())
    return {name: reader.get_tensor(name) for name in names}, {
        name: value for name, value in metrics.items() if not name.startswith("seconds")
    }


@pytest.mark.parametrize("settings", [{}, {"scorer": "history", "objective": "multinomial"}], ids=["gdns", "default"])
def test_a_run_that_was_broken_off_ends_as_one_that_was_not(streamed, tmp_path, settings):
    config = TrainConfig.from_settings(**SETTINGS | settings)
    whole, broken = (replace(config, output_dir=str(tmp_path / name)) for name in ("whole", "broken"))
    train(streamed, streamed.source, whole, progress=False)
    with pytest.raises(Interrupted):
        train(streamed, streamed.source, broken, [BreakOff(3)], progress=False)
    train(streamed, streamed.source, broken, progress=False)
    (expected, metrics), (found, others) = learnt(tmp_path / "whole"), learnt(tmp_path / "broken")
    assert found.keys() == expected.keys()
    assert len(found) > 10
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert others == metrics
    assert metrics["data_fingerprint"] == SPLIT.fingerprint
    assert not (tmp_path / "whole" / "trained_on.npz").exists()
    assert not (tmp_path / "whole" / "data.npz").exists()


def test_a_run_does_not_go_on_with_other_data(streamed, tmp_path):
    config = TrainConfig.from_settings(**SETTINGS, output_dir=str(tmp_path / "run"))
    with pytest.raises(Interrupted):
        train(streamed, streamed.source, config, [BreakOff(1)], progress=False)
    streamed.folder.manifest, former = replace(streamed.folder.manifest, fingerprint="f" * 16), streamed.folder.manifest
    try:
        with pytest.raises(InputError, match=f"made on data {SPLIT.fingerprint}, and the data is now ffff"):
            train(streamed, streamed.source, config, progress=False)
    finally:
        streamed.folder.manifest = former


def test_a_fit_with_a_second_training_is_saved_loaded_and_recommends(streamed, tmp_path):
    settings = SETTINGS | {"max_epochs": 2, "refit": True}
    model = gdns_tf.fit(streamed, output_dir=tmp_path / "run", progress=False, **settings)
    model.save(tmp_path / "saved")
    users = SPLIT.train.user_ids[:9]
    expected = model.recommend(users, 5)
    for folder in ("run", "saved"):
        loaded = gdns_tf.load(tmp_path / folder)
        assert loaded.data.fingerprint == SPLIT.fingerprint
        assert loaded.recommend(users, 5).to_dict() == expected.to_dict()
    seen = SPLIT.all_interactions()
    for user, item in zip(expected["user"], expected["item"], strict=True):
        assert item not in SPLIT.train.item_ids[seen.of(user)]


@pytest.mark.parametrize("protocol", ["sampled", "full"])
@pytest.mark.parametrize("held_out", ["valid", "test"])
def test_figures_are_those_of_data_in_memory_to_the_last_digit(streamed, protocol, held_out):
    factors = random_factors(SPLIT)
    expected, found = (evaluate(factors, data, held_out, protocol) for data in (SPLIT, streamed))
    np.testing.assert_array_equal(found.users, expected.users)
    np.testing.assert_array_equal(found.ranks.places, expected.ranks.places)
    assert found.means() == expected.means()
    # A sample is of these very users.
    sample = sampled(streamed, 20, seed=4)
    some = evaluate(factors, sample, held_out, protocol)
    at = np.searchsorted(expected.users, some.users)
    assert some.users.tolist() == sample.users.tolist()
    np.testing.assert_array_equal(some.ranks.places, expected.ranks.places[at])
    for name in ("ndcg@10", "full_ndcg@10"):
        metric = SelectionMetric(name)
        assert metric.of(factors, streamed, held_out) == metric.of(factors, SPLIT, held_out)


def test_so_is_what_else_is_told_of_a_model(streamed):
    factors = random_factors(SPLIT)
    found, expected = (beyond_accuracy_of(factors, data, "test", 5) for data in (streamed, SPLIT))
    assert found == pytest.approx(expected, rel=1e-12)
    assert objections(factors, streamed, "ndcg@3") == objections(factors, SPLIT, "ndcg@3")
    rounded = factors.items.astype(np.float16)
    assert effect_of_rounding(factors, rounded, streamed) == effect_of_rounding(factors, rounded, SPLIT)
    rng = np.random.default_rng(0)
    arrays = {"A": rng.normal(size=(150, 4)), "Q": rng.normal(size=(150, 4)), "history_power": 0.5}
    arrays = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
    for name in ("train", "all_interactions"):
        of_both = [getattr(data, name) for data in (streamed, SPLIT)]
        of_both = [each() if callable(each) else each for each in of_both]
        queries = [History.factors(arrays, train) for train in of_both]
        np.testing.assert_array_equal(queries[0].queries, queries[1].queries)
        assert isinstance(queries[0].encoder, HistorySum)


def test_the_command_evaluates_all_or_a_sample(streamed, tmp_path, capfd):
    factors = random_factors(SPLIT)
    runs = [
        make_run(tmp_path / "a", PLANTED, SPLIT, factors),
        make_run(tmp_path / "b", streamed.source, SPLIT, factors),
    ]
    answers = []
    for run, more in ((runs[0], []), (runs[1], []), (runs[1], ["--users=20"])):
        arguments = ["evaluate", f"--run_dir={run}", "--bootstrap=0", "--compare=popularity", *more]
        configs = [evaluate_command.EvaluateConfig, DataConfig]
        assert exit_code(evaluate_command.main, "", configs, arguments) == 0
        out = capfd.readouterr().out
        answers.append(json.loads(out.splitlines()[-1]))
    assert "a sample, not all" in out
    assert answers[1]["metrics"] == answers[0]["metrics"]
    assert answers[1]["comparison"] == answers[0]["comparison"]
    assert answers[2]["num_evaluated"] == 20
    assert answers[2]["sample"]


def test_validation_by_a_sample_is_said_aloud(streamed, tmp_path):
    config = TrainConfig.from_settings(
        **SETTINGS | {"max_epochs": 2, "valid_users": 20}, output_dir=str(tmp_path / "r")
    )
    run = train(streamed, streamed.source, config, progress=False)
    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text())
    assert metrics["sample"] == {"users": 20, "of": 60}
    expected = evaluate(run.best, sampled(SPLIT, 20, config.seed), "test").means()
    assert metrics["test"] == expected
    assert "sample of 20 users of 60" in format_metrics(metrics)


def test_answers_of_an_export_are_those_of_data_in_memory(streamed, tmp_path):
    factors = random_factors(SPLIT)
    answers = []
    for name, data in (("memory", PLANTED), ("shards", streamed.source)):
        run = make_run(tmp_path / name, data, SPLIT, factors)
        folder = export_run(run, tmp_path / f"{name}-model" / "gdns", k=10, export_anyway=True)
        served = tf.saved_model.load(str(folder)).signatures["serving_default"]
        answers.append(served(user_ids=tf.constant(SPLIT.train.user_ids)))
        titles = (folder / "assets.extra/titles.tsv").read_text()
        assert titles.count("\n") == 150
    for name, value in answers[0].items():
        np.testing.assert_array_equal(answers[1][name], value, err_msg=name)


def test_what_needs_all_interactions_refuses_before_it_begins(streamed, tmp_path):
    config = TrainConfig.from_settings(**SETTINGS, output_dir=str(tmp_path / "new"), warm_start=str(tmp_path / "old"))
    with pytest.raises(InputError, match=r"`warm_start`.* needs all interactions in memory"):
        train(streamed, streamed.source, config, progress=False)
    assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match="`compare`=itemknn needs all interactions in memory"):
        load_compared("itemknn", streamed, dim=4)
    assert load_compared("popularity", streamed, dim=4).model.num_users == 60
