"""Runs that begin from a former run's weights: which rows go where, what is refused, and what is said of leaks."""

import logging
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import gdns_tf
from gdns_tf.examples.own_scorer import HistorySum
from gdns_tf.flags import read_config
from gdns_tf.models.registry import SCORERS
from gdns_tf.runs import leaks
from gdns_tf.runs.interrupts import Interrupted
from gdns_tf.runs.loading import load_trained
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.warm_start import Former, begin, former_model, former_run
from gdns_tf.serving.description import about_training, describe
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.training.build import build_trainer
from gdns_tf.training.config import TrainConfig
from pipelines.id_match import match_ids

QUICK = {"max_epochs": 2, "eval_every": 1, "dim": 4, "progress": False, "tensorboard": False}
STILL = QUICK | {"learning_rate": 1e-12, "max_epochs": 1}
"""Nothing is learnt."""
TRIED = {
    "gmf": {"sampler": "gdns", "group_size": 4, "num_candidates": 8, "init_scale": 0.3},
    "history": {},
    "history tied": {"scorer": "history", "history_tied": True},
    "svdpp": {"scorer": "svdpp"},
    "own": {"scorer": "own", "sampler": "uniform", "group_size": 4, "num_candidates": 8},
}
"""Settings of each scorer."""
CONFIG = TrainConfig.from_settings(dim=4)


def clicks():
    """Of 60 users and 130 items, at random times."""
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{i}") for u in range(60) for i in rng.choice(130, rng.integers(8, 20), replace=False)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id"])
    return table.assign(ts=rng.permutation(len(table)).astype(float))


CLICKS = clicks()


def dataset(table, timestamp="ts", **settings):
    return gdns_tf.Dataset.from_dataframe(table, user="user_id", item="item_id", timestamp=timestamp, **settings)


@pytest.fixture(scope="module")
def yesterday():
    """Without the last tenth, without one user, and with an item that is gone today."""
    early = CLICKS[(CLICKS.ts < CLICKS.ts.quantile(0.9)) & (CLICKS.user_id != "u7")]
    gone = pd.DataFrame([(f"u{u}", "i-gone", -1.0) for u in (1, 2, 3)], columns=CLICKS.columns)
    return dataset(pd.concat([early, gone]))


@pytest.fixture(scope="module")
def today():
    return dataset(CLICKS[CLICKS.user_id != "u4"])


@pytest.fixture(scope="module")
def former(yesterday, tmp_path_factory):
    """The folder of yesterday's run, which had a second training."""
    folder = tmp_path_factory.mktemp("former") / "run"
    gdns_tf.fit(yesterday, output_dir=folder, refit=True, **QUICK)
    return folder


@pytest.fixture(scope="module")
def still(former, today, tmp_path_factory):
    """The folder of today's run, which began from yesterday's and learnt nothing."""
    folder = tmp_path_factory.mktemp("still") / "run"
    gdns_tf.fit(today, warm_start=former, output_dir=folder, refit=True, **STILL)
    return folder


def begun(former, data, config=CONFIG):
    """The scorer of a run that begins from a former one, what it begins with, and what its weights have learnt from."""
    scorer = build_trainer(data.train, config).scorer
    return scorer, *begin(former, data, config, scorer)


def untrained(data, config=CONFIG, seed=3):
    """A former run with the weights of an untrained scorer."""
    scorer = build_trainer(data.train, replace(config, seed=seed)).scorer
    return Former("then", config.scorer, scorer.arrays(), data.train)


def ids_of(data):
    return {"num_users": data.train.user_ids.tolist(), "num_items": data.train.item_ids.tolist()}


def by_hand(former, fresh, axes, then, now):
    """An array row by row from the definition: the former row of an id, or else the fresh one."""
    if not axes:
        return former
    there = {raw: row for row, raw in enumerate(then[axes[0]])} if axes[0] in then else None
    if there is None:
        return former
    return np.stack([former[there[raw]] if raw in there else fresh[row] for row, raw in enumerate(now[axes[0]])])


@pytest.mark.parametrize("name", TRIED)
def test_rows_go_by_ids_and_new_ones_are_those_of_a_fresh_run(name, yesterday, today, monkeypatch):
    monkeypatch.setattr(SCORERS, "_classes", dict(SCORERS) | {"own": HistorySum})
    config = TrainConfig.from_settings(dim=5, **TRIED[name])
    theirs, fresh = untrained(yesterday, config), build_trainer(today.train, config).scorer.arrays()
    scorer, start, _ = begun(theirs, today, config)
    then, now = ids_of(yesterday), ids_of(today)
    assert "u7" in set(now["num_users"]) - set(then["num_users"])
    assert "u4" in set(then["num_users"]) - set(now["num_users"])
    assert "i-gone" in set(then["num_items"]) - set(now["num_items"])
    for array, axes in config.scorer_class.parameters.items():
        wanted = by_hand(theirs.arrays[array], fresh[array], axes, then, now)
        np.testing.assert_array_equal(start.arrays[array], wanted)
        np.testing.assert_array_equal(scorer.arrays()[array], wanted)
    for kind, axis in (("users", "num_users"), ("items", "num_items")):
        old, new = set(then[axis]), set(now[axis])
        assert start.told[kind] == {"taken": len(old & new), "new": len(new - old), "gone": len(old - new)}


def test_users_and_items_that_stay_score_as_they_did(yesterday, today):
    config = TrainConfig.from_settings(dim=5, **TRIED["gmf"])
    theirs = untrained(yesterday, config)
    scorer, *_ = begun(theirs, today, config)
    before = config.scorer_class.factors(theirs.arrays, yesterday.train)
    after = config.scorer_class.factors(scorer.arrays(), today.train)
    users = match_ids(yesterday.train.user_ids, today.train.user_ids)
    items = match_ids(yesterday.train.item_ids, today.train.item_ids)
    scores = before.queries[users.former] @ before.items[items.former].T
    np.testing.assert_array_equal(after.queries[users.now] @ after.items[items.now].T, scores)


def test_both_trainings_begin_from_the_first_of_the_former_run_and_it_is_said(former, still, today):
    folder, theirs, ours = RunFolder(still), gdns_tf.load(former), gdns_tf.load(still)
    assert read_config(folder.flags, TrainConfig).warm_start == str(former)
    told = folder.read_metrics()["warm_start"]
    assert told["run"] == str(former)
    assert told["weights"] == former_run(str(former)).fingerprint
    refit = theirs._trained.refit.arrays["Q"]
    match = match_ids(theirs.data.train.item_ids, today.train.item_ids)
    for weights in (ours._trained.weights, ours._trained.refit):
        taken = weights.arrays["Q"][match.now]
        np.testing.assert_allclose(taken, theirs._trained.weights.arrays["Q"][match.former], atol=1e-6)
        assert np.abs(taken - refit[match.former]).max() > 1e-3


def test_a_model_and_a_store_give_what_the_folder_gives(former, store):
    of_folder, model = former_run(str(former)), gdns_tf.load(former)
    model.save(f"{store}/model")
    of_store, of_model = former_run(f"{store}/model"), former_model(model._trained)
    assert of_model.name == f"model:{of_folder.fingerprint}"
    for other in (of_store, of_model):
        assert other.fingerprint == of_folder.fingerprint
        assert pairs(other.trained_on) == pairs(of_folder.trained_on)


class Stop(gdns_tf.Callback):
    """Breaks a run off, before its first epoch is done with or after it."""

    def __init__(self, saved):
        self.saved = saved

    def on_epoch(self, run, loss):
        if not self.saved:
            raise KeyboardInterrupt
        run.interrupt()


@pytest.fixture(scope="module")
def undisturbed(former, today):
    return gdns_tf.fit(today, warm_start=former, refit=True, **QUICK)


@pytest.mark.parametrize("saved", [False, True])
def test_a_run_that_is_gone_on_with_needs_the_former_one_no_more(saved, former, undisturbed, today, tmp_path, store):
    copy = tmp_path / "copy"
    shutil.copytree(former, copy)
    settings = QUICK | {"warm_start": copy, "refit": True, "output_dir": f"{store}/run" if saved else tmp_path / "run"}
    with pytest.raises((KeyboardInterrupt, Interrupted)):
        gdns_tf.fit(today, callbacks=[Stop(saved)], **settings)
    shutil.rmtree(copy)
    again = gdns_tf.fit(today, **settings)
    for training in ("first", "served"):
        ours, theirs = getattr(again._trained, training), getattr(undisturbed._trained, training)
        np.testing.assert_array_equal(ours.queries, theirs.queries)
        np.testing.assert_array_equal(ours.items, theirs.items)
    assert again.metrics["warm_start"] == undisturbed.metrics["warm_start"] | {"run": str(copy)}
    assert again.metrics["test"] == undisturbed.metrics["test"]


def test_what_cannot_be_begun_from_is_refused_before_training_with_what_to_do(former, today, tmp_path):
    class Never(gdns_tf.Callback):
        def on_start(self, run):
            raise AssertionError("it began")

    def refused(message, data=today, **settings):
        with pytest.raises(gdns_tf.InputError, match=message):
            gdns_tf.fit(data, callbacks=[Never()], **QUICK | {"warm_start": former} | settings)

    refused("there is no run to begin from.*folder of a finished run", warm_start=tmp_path / "nowhere")
    refused("second training, which has learnt from held-out items", warm_start=former / "refit")
    refused("was a model in memory, and it is not here", warm_start="model:0123456789abcdef")
    refused("`scorer`=svdpp, but the run to begin from has history.*Set `scorer`=history", scorer="svdpp")
    refused("`dim`=8, but the run to begin from has 4.*Set `dim`=4", dim=8)
    refused(r"`history_power` is not what this scorer has \(0.7, and here 0.5\)", history_power=0.5)
    refused("`A` is not what this scorer has", history_tied=True)
    before = RunFolder(former).weights.read_bytes()
    refused("`warm_start`=.* is what is written to.*name another folder", output_dir=former, overwrite=True)
    refused("`warm_start`=.* is what is written to", output_dir=former, warm_start=f"{former}/../run/")
    assert RunFolder(former).weights.read_bytes() == before
    refused("does not go with tuning", tune_minutes=1, output_dir=tmp_path / "tuned")
    (unfinished := tmp_path / "unfinished").mkdir()
    shutil.copy(former / "flags.txt", unfinished)
    refused("has not ended.*goes on with it", warm_start=unfinished)
    other = dataset(CLICKS.assign(item_id="other-" + CLICKS.item_id))
    refused(r"none of the 130 items \(it has such as i\d+, the data such as other-i\d+\)", data=other)


def test_a_run_of_a_version_that_kept_no_ids_is_known_by_its_data(former, today, tmp_path):
    shutil.copytree(former, tmp_path / "old")
    folder = RunFolder(tmp_path / "old")
    folder.trained_on.unlink()
    assert (
        former_run(str(folder.path)).trained_on.item_ids.tolist() == gdns_tf.load(former).data.train.item_ids.tolist()
    )
    today.save(folder.data)
    with pytest.raises(gdns_tf.InputError, match="its data has changed since"):
        former_run(str(folder.path))


def test_ids_of_another_type_are_matched_and_few_in_common_are_said(yesterday, today, caplog):
    with caplog.at_level(logging.INFO, logger="gdns_tf"):
        _, start, _ = begun(untrained(yesterday), today)
    assert f"users {start.told['users']['taken']} taken, 1 new, 1 gone" in caplog.text
    assert "same data" not in caplog.text
    caplog.clear()
    begun(untrained(yesterday), dataset(CLICKS.assign(user_id=[u if u < "u2" else f"x{u}" for u in CLICKS.user_id])))
    assert "Only 12 of the 60 users are among the 59 of then: is it of the same data?" in caplog.text
    caplog.clear()
    numbers = CLICKS.assign(user_id=CLICKS.user_id.str[1:].astype(int))
    one_is_text = numbers.assign(user_id=[str(u) if u else "zero" for u in numbers.user_id])
    _, start, _ = begun(untrained(dataset(numbers)), dataset(one_is_text))
    assert "Ids of users are text here and integers there" in caplog.text
    assert start.told["users"] == {"taken": 59, "new": 1, "gone": 1}


def held_out_pairs(data, name):
    users, items = getattr(data, name).pairs
    return set(zip(data.train.user_ids[users].tolist(), data.train.item_ids[items].tolist(), strict=True))


def pairs(train):
    return set(zip(train.user_ids[train.users].tolist(), train.item_ids[train.items].tolist(), strict=True))


def test_leaks_are_counted_through_a_chain_of_runs_said_and_kept(former, tmp_path, caplog):
    at_random = dataset(CLICKS, timestamp="", split_seed=1)
    one = former_run(str(former))
    model = gdns_tf.fit(at_random, warm_start=former, output_dir=tmp_path / "run", **STILL)
    leaked = {name: len(held_out_pairs(at_random, name) & pairs(one.trained_on)) for name in ("valid", "test")}
    assert model.metrics["warm_start"]["leaked"] == leaked
    assert leaked["test"] > 30
    said = f"Leaked: {leaked['valid']} of 60 validation items and {leaked['test']} of the test items"
    assert caplog.text.count(said) == 1
    model.evaluate()
    assert caplog.text.count(said) == 2
    about = about_training(model._trained, at_random.source)
    described = describe(model.factors, at_random, k=3, item_dtype="float32", fold_in=FoldIn(), about=about)
    assert described["note"].startswith(said)
    # What weights have learnt from goes with a run and with a saved model, and on to those that begin from them.
    known = {pair for pair in pairs(one.trained_on) if pair[1] != "i-gone"} | pairs(at_random.train)
    model.save(tmp_path / "saved")
    for folder in ("run", "saved"):
        assert pairs(load_trained(tmp_path / folder, at_random).trained_on) == known
        then = former_run(str(tmp_path / folder))
        assert pairs(then.trained_on) == known
    again = dataset(CLICKS, timestamp="", split_seed=2)
    _, start, trained_on = begun(then, again)
    leaked = {name: len(held_out_pairs(again, name) & known) for name in ("valid", "test")}
    assert start.told["leaked"] == leaked
    assert pairs(trained_on) == known | pairs(again.train)


def test_a_split_by_time_leaks_nothing_but_items_that_are_taken_up_again(yesterday, today):
    then = untrained(yesterday)
    assert begun(then, today)[1].told["leaked"] == {"valid": 0, "test": 0}
    user, item = yesterday.train.user_ids[0], yesterday.train.item_ids[yesterday.train.of(0)[0]]
    repeat = pd.concat([CLICKS, pd.DataFrame([(user, item, 1e9)], columns=CLICKS.columns)])
    assert begun(then, dataset(repeat))[1].told["leaked"] == {"valid": 0, "test": 1}
    assert begun(then, dataset(repeat, duplicates="first"))[1].told["leaked"] == {"valid": 0, "test": 0}


def test_joined_holds_the_pairs_of_both_in_the_numbers_of_now(yesterday, today):
    matches = [match_ids(getattr(yesterday.train, ids), getattr(today.train, ids)) for ids in ("user_ids", "item_ids")]
    both = leaks.joined(yesterday.train, *matches, today.train)
    users, items = set(today.train.user_ids.tolist()), set(today.train.item_ids.tolist())
    known_today = {(user, item) for user, item in pairs(yesterday.train) if user in users and item in items}
    assert pairs(both) == known_today | pairs(today.train)
    assert all(len(set(both.of(user))) == len(both.of(user)) for user in range(both.num_users))
