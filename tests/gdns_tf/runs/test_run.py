"""A run in this process: its stopping rules, what it selects, what it leaves in its folder."""

import csv
import signal
from dataclasses import replace

import numpy as np
import pytest
from tensorflow.train import load_checkpoint

from gdns_tf.evaluation.baselines import popularity
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.flags import read_config
from gdns_tf.runs.callbacks import Callback
from gdns_tf.runs.history import History
from gdns_tf.runs.interrupts import Interrupted
from gdns_tf.runs.loading import load_model, load_trained
from gdns_tf.runs.run import Run
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.summary import format_metrics
from gdns_tf.runs.train import train as train_run
from gdns_tf.train import train
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.load import load_dataset

DATA = DataConfig(planted_users=200, planted_items=200)
DATASET = load_dataset(DATA)


@pytest.fixture
def config(tmp_path):
    return TrainConfig(
        output_dir=str(tmp_path / "run"),
        group_size=8,
        num_candidates=16,
        batch_size=64,
        dim=8,
        loss="squared_hinge",
        l2=0.01,
        max_epochs=20,
        eval_every=5,
        show_users=2,
    )


def run_of(config, dataset=DATASET, callbacks=()):
    folder = RunFolder.open(DATA, config)
    folder.claim(DATA, config)
    return Run(dataset, config, folder, [History(), *callbacks])


def history(folder):
    with folder.history.open(newline="") as file:
        return list(csv.DictReader(file))


def test_all_that_a_run_promises_is_in_its_folder(config, capsys):
    metrics = train(DATA, config)
    folder = RunFolder(config.output_dir)
    assert folder.read_metrics() == metrics
    assert metrics["data_fingerprint"] == DATASET.fingerprint
    best = load_model(folder.path, DATASET)
    for split in ("valid", "test"):
        assert metrics[split] == evaluate(best, DATASET, split=split).means()
    rows = history(folder)
    assert [int(row["epoch"]) for row in rows] == [5, 10, 15, 20]
    best_row = max(rows, key=lambda row: float(row["ndcg@3"]))
    assert int(best_row["epoch"]) == metrics["best_epoch"]
    assert float(best_row["ndcg@3"]) == pytest.approx(metrics["valid"]["ndcg@3"], rel=1e-5)
    assert read_config(folder.flags, TrainConfig) == config.with_settings(gain_table="dense")  # which fits
    assert list(folder.checkpoints.glob("*.index"))
    assert list(folder.tensorboard.glob("events*"))
    assert len((folder.tensorboard / "items_metadata.tsv").read_text().splitlines()) == 1 + DATASET.train.num_items
    out = capsys.readouterr().out
    assert "#User" in out
    assert "ndcg@3" in out
    assert out.count("may like") == 2


def test_training_ranks_better_than_popularity(config):
    run = run_of(replace(config, max_epochs=60, tensorboard=False))
    run.fit()
    popular = popularity(DATASET.train)
    ours, theirs = (evaluate(m, DATASET, split="test").means()["ndcg@3"] for m in (run.best, popular))
    assert ours > theirs + 0.05


def loops_over_popularity(split, held_out, count):
    """NDCG@3 of a list by number of users: by the definition, ties against the held-out item."""
    train, found = split.train, []
    popular = [sum(item in train.of(user) for user in range(train.num_users)) for item in range(train.num_items)]
    masked = [set(train.of(user)) | ({split.valid.items[user]} if held_out == "test" else set()) for user in range(200)]
    negatives = getattr(split, held_out).negatives if count else [range(train.num_items)] * train.num_users
    for user, held in enumerate(getattr(split, held_out).items):
        others = [item for item in negatives[user] if count or (item != held and item not in masked[user])]
        above = sum(popular[item] >= popular[held] for item in others)
        found.append(1 / np.log2(above + 2) if above < 3 else 0.0)
    return np.mean(found)


def test_popularity_stands_beside_the_metrics(config):
    class Look(Callback):
        def on_start(self, run):
            self.known = dict(run.popularity)

    look = Look()
    config = replace(config, select="full_ndcg@3", tensorboard=False, max_epochs=5)
    metrics = train_run(DATASET, DATA, config, [look], progress=False).folder.read_metrics()
    for held_out in ("valid", "test"):
        popular = metrics["popularity"][held_out]
        assert popular.keys() == metrics[held_out].keys()
        assert popular["ndcg@3"] == pytest.approx(loops_over_popularity(DATASET, held_out, 100))
        assert popular["full_ndcg@3"] == pytest.approx(loops_over_popularity(DATASET, held_out, 0))
    assert look.known == metrics["popularity"]["valid"]
    lines = format_metrics(metrics).splitlines()
    assert lines[1].split() == ["validation", "popularity", "test", "popularity"]
    (line,) = [line.split() for line in lines if line.startswith("full_ndcg@3")]
    columns = [part[held_out] for held_out in ("valid", "test") for part in (metrics, metrics["popularity"])]
    assert line[1:] == [f"{column['full_ndcg@3']:.4f}" for column in columns]


def test_a_model_that_is_no_better_than_popularity_is_told_with_its_figures(config, caplog):
    untrained = replace(config, max_epochs=1, learning_rate=1e-9, tensorboard=False)
    metrics = train_run(DATASET, DATA, untrained, progress=False).folder.read_metrics()
    ours, theirs = metrics["valid"]["ndcg@3"], metrics["popularity"]["valid"]["ndcg@3"]
    assert ours < theirs
    assert f"validation ndcg@3 is {ours:.4f}, and that of popularity {theirs:.4f}" in caplog.text
    assert "`max_epochs`" in caplog.text
    assert "`export_anyway`" in caplog.text


def test_of_a_model_that_is_better_nothing_is_said(config, caplog):
    train_run(DATASET, DATA, replace(config, max_epochs=60, tensorboard=False), progress=False)
    assert "popular" not in caplog.text


def test_a_model_whose_scores_are_alike_is_told(config, caplog):
    class Collapse(Callback):
        """As by a bug in a scorer of one's own: all items become one."""

        def on_end(self, run):
            items = run.state.best_weights[1]
            items.assign(np.broadcast_to(items.numpy()[:1], items.shape))

    train_run(DATASET, DATA, replace(config, tensorboard=False), [Collapse()], progress=False)
    assert "all items score alike" in caplog.text


def test_a_model_that_is_not_fit_is_not_exported_after_training_but_its_run_stays(config, tmp_path):
    models = tmp_path / "shop"
    config = replace(config, max_epochs=1, learning_rate=1e-9, tensorboard=False, export_dir=str(models))
    with pytest.raises(InputError, match="not fit to be served: validation ndcg@3 is"):
        train(DATA, config)
    assert not models.exists()
    assert RunFolder(config.output_dir).read_metrics()["epochs"] == 1
    train(DATA, replace(config, export_anyway=True))  # goes on with the same run
    assert (models / "1").exists()


def test_stops_by_patience_and_keeps_the_best(config):
    run = run_of(replace(config, patience=2, max_epochs=500, eval_every=3, learning_rate=0.5, tensorboard=False))
    assert run.fit() == "patience"
    values = [float(row["ndcg@3"]) for row in history(run.folder)]
    assert len(values) < 500 / 3
    assert int(np.argmax(values)) == len(values) - 3
    assert evaluate(run.best, DATASET).means()["ndcg@3"] == pytest.approx(max(values), rel=1e-5)


def test_stops_by_the_clock_even_before_the_first_validation(config):
    run = run_of(replace(config, max_minutes=1e-6, tensorboard=False))
    assert run.fit() == "max_minutes"
    metrics = run.finish("max_minutes")
    assert metrics["epochs"] == metrics["best_epoch"] == 1


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(config, tmp_path):
    weights = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run = run_of(replace(config, output_dir=str(tmp_path / name), seed=seed, dropout=0.3, tensorboard=False))
        run.fit()
        weights.append(run.best)
    np.testing.assert_array_equal(weights[0].queries, weights[1].queries)
    assert (weights[0].queries != weights[2].queries).any()


def test_a_checkpoint_of_other_data_is_refused(config):
    run_of(replace(config, tensorboard=False)).fit()
    other = load_dataset(replace(DATA, planted_seed=5))
    shape = (other.train.num_users, other.train.num_items)
    assert shape == (DATASET.train.num_users, DATASET.train.num_items)
    with pytest.raises(InputError, match=f"made on data {DATASET.fingerprint}"):
        run_of(replace(config, tensorboard=False), other)


def test_divergence_says_what_to_do(config):
    run = run_of(replace(config, optimizer="sgd", learning_rate=1e6, tensorboard=False))
    with pytest.raises(FloatingPointError, match="Lower `learning_rate`"):
        run.fit()


class Watch(Callback):
    """Notes what it is told."""

    def __init__(self):
        self.told = []

    def on_start(self, run):
        self.told.append(("start", run.epoch))

    def on_epoch(self, run, loss):
        assert loss > 0
        self.told.append(("epoch", run.epoch))

    def on_validation(self, run, validation):
        assert validation.metrics == evaluate(run.best, DATASET).means()  # each is better than the last here
        assert validation.best == validation.metrics["ndcg@3"]
        self.told.append(("validation", validation.epoch))

    def on_save(self, run):
        made_at = load_checkpoint(str(run.folder.checkpoints)).get_tensor("state/epoch/.ATTRIBUTES/VARIABLE_VALUE")
        assert made_at == run.epoch
        self.told.append(("save", run.epoch))

    def on_end(self, run):
        self.told.append(("end", run.epoch))

    def close(self):
        self.told.append(("close", None))


def test_callbacks_are_told_of_all_that_happens(config):
    watch = Watch()
    run_of(replace(config, max_epochs=4, eval_every=2, tensorboard=False), callbacks=[watch]).fit()
    rounds = [("epoch", 1), ("epoch", 2), ("validation", 2), ("epoch", 3), ("epoch", 4), ("validation", 4)]
    assert watch.told == [("start", 0), *rounds, ("save", 4), ("end", 4), ("close", None)]


def test_callbacks_are_told_of_every_checkpoint(config):
    watch = Watch()
    config = replace(config, max_epochs=3, eval_every=3, checkpoint_minutes=0.0, tensorboard=False)
    run_of(config, callbacks=[watch]).fit()
    assert [epoch for what, epoch in watch.told if what == "save"] == [1, 2, 3, 3]


def test_an_interrupted_run_tells_of_the_checkpoint_that_it_leaves(config):
    class Stop(Callback):
        def on_epoch(self, run, loss):
            if run.epoch == 2:
                signal.raise_signal(signal.SIGTERM)

    watch = Watch()
    with pytest.raises(Interrupted, match="after epoch 2"):
        run_of(replace(config, tensorboard=False), callbacks=[watch, Stop()]).fit()
    assert watch.told[-2:] == [("save", 2), ("close", None)]


def test_a_callback_may_break_a_run_off_and_its_validation_is_not_lost(config):
    class Stop(Callback):
        def on_epoch(self, run, loss):
            if run.epoch == 10:
                run.interrupt()

    with pytest.raises(Interrupted, match="after epoch 10"):
        run_of(config, callbacks=[Stop()]).fit()
    run = run_of(config)
    assert run.epoch == 10
    run.fit()
    assert [int(row["epoch"]) for row in history(run.folder)] == [5, 10, 15, 20]


def test_while_runs_are_chosen_among_test_is_not_evaluated(config):
    run = run_of(config)
    assert "test" not in run.finish(run.fit(), held_out=("valid",))
    assert run.finish("max_epochs")["test"].keys() == run.folder.read_metrics()["valid"].keys()


def test_callbacks_are_closed_when_training_fails(config):
    watch = Watch()
    config = replace(config, optimizer="sgd", learning_rate=1e6, tensorboard=False)
    with pytest.raises(FloatingPointError):
        run_of(config, callbacks=[watch]).fit()
    assert watch.told[-1] == ("close", None)
    assert ("end", 20) not in watch.told


def test_a_refit_trains_on_all_for_the_chosen_epochs_and_leaves_the_metrics(config):
    config = replace(config, max_epochs=12, eval_every=4, tensorboard=False, refit=True)
    run = train_run(DATASET, DATA, config, progress=False)
    trained = load_trained(config.output_dir, DATASET)
    assert trained.metrics["test"] == evaluate(trained.first, DATASET, split="test").means()
    assert (trained.served.queries != trained.first.queries).any()
    # The very same as a run of that length on data that has nothing held out.
    whole = replace(DATASET, train=DATASET.all_interactions())
    assert whole.train.num_interactions == DATASET.train.num_interactions + 2 * DATASET.train.num_users
    alone = replace(config, output_dir=config.output_dir + "-alone", max_epochs=run.best_epoch, refit=False)
    other = run_of(alone, whole)
    other.fit()
    last = other.trainer.scorer.factors(other.trainer.scorer.arrays(other.average.variables_), whole.train)
    np.testing.assert_array_equal(trained.served.queries, last.queries)
    np.testing.assert_array_equal(trained.served.items, last.items)


def test_a_refit_is_done_again_where_other_epochs_were_chosen(config):
    config = replace(config, max_epochs=4, eval_every=4, tensorboard=False, refit=True)
    train_run(DATASET, DATA, config, progress=False)
    assert RunFolder(config.output_dir).refit.read_metrics()["epochs"] == 4
    run = train_run(DATASET, DATA, replace(config, max_epochs=12), progress=False)
    assert run.best_epoch == RunFolder(config.output_dir).refit.read_metrics()["epochs"] == 12
    # One of a former state of the run is not served.
    later = train_run(DATASET, DATA, replace(config, max_epochs=24, refit=False), progress=False)
    assert later.best_epoch > 12
    trained = load_trained(config.output_dir, DATASET)
    assert trained.refit is None
    np.testing.assert_array_equal(trained.served.queries, later.best.queries)


def test_a_refit_is_no_run_to_evaluate(config):
    config = replace(config, max_epochs=4, eval_every=4, tensorboard=False, refit=True)
    train_run(DATASET, DATA, config, progress=False)
    with pytest.raises(InputError, match="trained on data with fingerprint"):
        load_model(RunFolder(config.output_dir).refit.path, DATASET)


def test_settings_that_do_not_go_with_the_data_lose_no_former_run(config, monkeypatch):
    config = replace(config, max_epochs=4, eval_every=4, tensorboard=False)
    train_run(DATASET, DATA, config, progress=False)
    before = RunFolder(config.output_dir).weights.read_bytes()
    monkeypatch.setattr("gdns_tf.samplers.gain_table_config.memory_for_variables", lambda: (1000.0, "memory"))
    with pytest.raises(InputError, match="a gain table of 200 users x 200 items takes"):
        train_run(
            DATASET, DATA, config.with_settings(sampler="gdns", gain_table="dense", overwrite=True), progress=False
        )
    assert RunFolder(config.output_dir).weights.read_bytes() == before


def test_weights_are_chosen_by_the_metric_of_ones_choice(config):
    config = replace(config, select="full_ndcg@20", max_epochs=12, eval_every=2, tensorboard=False)
    run = run_of(config)
    run.fit()
    rows = history(run.folder)
    best = max(rows, key=lambda row: float(row["full_ndcg@20"]))
    assert int(best["epoch"]) == run.best_epoch
    full = evaluate(run.best, DATASET, "valid", "full", ks=[20]).means()["ndcg@20"]
    assert float(best["full_ndcg@20"]) == pytest.approx(full, rel=1e-5)
