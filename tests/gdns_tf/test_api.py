"""The Python API as its users see it: from a table to recommendations, a folder and back."""

import logging
import shutil
import signal
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import gdns_tf
from gdns_tf.evaluation.baselines import item_knn, popularity
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.examples.clicks import make_clicks
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.samplers.nncf import Nncf
from gdns_tf.samplers.uniform import Uniform

QUICK = {
    "group_size": 8,
    "num_candidates": 16,
    "dim": 8,
    "batch_size": 64,
    "max_epochs": 20,
    "eval_every": 5,
    "progress": False,
}


@pytest.fixture(scope="module")
def clicks():
    return make_clicks(num_users=200, num_items=200)


@pytest.fixture(scope="module")
def data(clicks):
    return gdns_tf.Dataset.from_dataframe(clicks, user="user_id", item="item_id", timestamp="ts", title="name")


@pytest.fixture(scope="module")
def model(data):
    return gdns_tf.fit(data, **QUICK)


@pytest.fixture(scope="module")
def refit(data):
    return gdns_tf.fit(data, refit=True, **QUICK)


@pytest.fixture(scope="module")
def done_half(data, tmp_path_factory):
    """The folder of a run of half of the epochs."""
    folder = tmp_path_factory.mktemp("half") / "run"
    assert gdns_tf.fit(data, output_dir=folder, **QUICK | {"max_epochs": 10}).metrics["epochs"] == 10
    return folder


@pytest.fixture
def half(done_half, tmp_path):
    """A copy of it."""
    return shutil.copytree(done_half, tmp_path / "run")


def test_a_fit_without_a_folder_leaves_nothing_behind(data, model, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    again = gdns_tf.fit(data, **QUICK)
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(again.factors.queries, model.factors.queries)
    assert again.history["epoch"].tolist() == [5, 10, 15, 20]
    assert again.history["ndcg@3"].max() == pytest.approx(again.metrics["valid"]["ndcg@3"], rel=1e-5)


def test_evaluate_stands_beside_popularity(data, model):
    table = model.evaluate()
    assert table.loc["ndcg@3", "model"] == model.metrics["test"]["ndcg@3"]
    popular = evaluate(popularity(data.train), data, "test").means()
    shown = ["coverage@10", "gini@10", "novelty@10", "popularity@10", "similarity@10"]
    assert table["popularity"].drop(shown).to_dict() == popular
    assert table.loc["coverage@10", "model"] > table.loc["coverage@10", "popularity"]
    assert table.index[table["p_value"].isna()].tolist() == shown
    np.testing.assert_allclose(table["difference"], table["model"] - table["popularity"], atol=1e-12)
    of_validation = model.evaluate("valid", protocol="full", ks=[5]).index
    assert of_validation.tolist()[:3] == ["ndcg@5", "recall@5", "mrr"]


def test_evaluate_by_activity_splits_the_same_users(data, model):
    table = model.evaluate_by_activity(ks=[3])
    of_groups = table.xs("ndcg@3", level="metric")
    assert of_groups["users"].sum() == data.train.num_users
    mean = np.average(of_groups["model"], weights=of_groups["users"])
    assert mean == pytest.approx(model.metrics["test"]["ndcg@3"])
    assert (of_groups["low"] <= of_groups["model"]).all()


def test_several_held_out_items_from_fit_to_load(clicks, tmp_path):
    columns = {"user": "user_id", "item": "item_id", "timestamp": "ts"}
    rows = clicks.assign(ts=np.random.default_rng(0).permutation(clicks["ts"]))  # users come and go side by side
    data = gdns_tf.Dataset.from_dataframe(rows, **columns, split_by="time", test_share=0.2, valid_share=0.15)
    settings = QUICK | {"sampler": "uniform", "max_epochs": 2, "eval_every": 1, "select": "map@5", "refit": True}
    model = gdns_tf.fit(data, **settings, output_dir=tmp_path / "run")
    best = evaluate(model._trained.first, data, ks=[5]).means()["map@5"]
    assert model.history["map@5"].max() == pytest.approx(best, rel=1e-5)
    table = model.evaluate(ks=[5])
    assert table.index.tolist()[:6] == ["ndcg@5", "recall@5", "precision@5", "map@5", "hr@5", "mrr"]
    user = int(data.test.users[0])
    had = {item for part in (data.train, data.valid, data.test) for item in part.of(user).tolist()}
    shown = model.recommend([data.train.user_ids[user]], k=data.train.num_items)["item"]
    assert set(shown) == set(np.delete(data.train.item_ids, list(had)).tolist())
    model.save(tmp_path / "saved")
    again = gdns_tf.load(tmp_path / "saved")
    assert again.data.fingerprint == data.fingerprint == model.metrics["data_fingerprint"]
    pd.testing.assert_frame_equal(again.evaluate(ks=[5]), table)


def test_evaluate_stands_beside_any_baseline(data, model, tmp_path):
    table = model.evaluate(compare="itemknn", protocol="full", ks=[20])
    assert table.columns.tolist() == ["model", "itemknn", "difference", "p_value"]
    assert table.attrs["options"] == {"top_k": 50, "shrinkage": 10.0}
    expected = evaluate(item_knn(data.train, top_k=50, shrinkage=10.0), data, "test", "full", ks=[20]).means()
    assert table.loc[list(expected), "itemknn"].to_dict() == expected
    assert "itemknn: top_k=50, shrinkage=10" in str(table)
    model.save(tmp_path / "model")
    assert not model.evaluate(compare=tmp_path / "model")["difference"].any()
    with pytest.raises(gdns_tf.InputError, match=r"there is no such baseline.*did you mean 'ease'.*itemknn"):
        model.evaluate(compare="eese")


def test_recommendations_are_the_best_unseen_items_by_brute_force(clicks, data, model):
    users = ["u-17", "u-3"]
    table = model.recommend(users, k=5)
    assert table.columns.tolist() == ["user", "rank", "item", "title", "score", "known"]
    for user in users:
        mine = table[table.user == user]
        seen = set(clicks[clicks.user_id == user].item_id)
        row = data.train.user_ids.tolist().index(user)
        scores = model.factors.queries[row] @ model.factors.items.T
        unseen = [place for place, item in enumerate(data.train.item_ids) if item not in seen]
        best = sorted(unseen, key=lambda place: (-scores[place], place))[:5]
        assert mine.item.tolist() == data.train.item_ids[best].tolist()
        assert mine["rank"].tolist() == [1, 2, 3, 4, 5]
        np.testing.assert_allclose(mine.score, scores[best], rtol=1e-5)
        names = clicks.drop_duplicates("item_id").set_index("item_id").name
        assert mine.title.tolist() == names[mine.item].tolist()


def test_model_and_recommender_answer_alike(refit, tmp_path):
    folder = refit.export(tmp_path / "shop")
    assert "first training" in (folder / "README.md").read_text()
    with gdns_tf.Recommender.from_saved_model(folder) as served:
        for ask in (
            lambda m: m.recommend(["u-17", "nobody"], k=4, exclude=["i-3"]),
            lambda m: m.recommend_by_history([["i-1", "i-7"], ["no such item"]], k=3),
            lambda m: m.similar_items(["i-1"], k=3),
            lambda m: m.rank(["u-1"], ["i-1", "no such item"]),
        ):
            pd.testing.assert_frame_equal(ask(refit), ask(served))
        description = served.describe()
    assert description["flags"]["sampler"] == "gdns"
    assert description["metrics"]["test"] == refit.metrics["test"]


def test_save_and_load_without_the_data(model, tmp_path):
    model.save(tmp_path / "model")
    loaded = gdns_tf.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.recommend(["u-17"]), model.recommend(["u-17"]))
    pd.testing.assert_frame_equal(loaded.evaluate(), model.evaluate())
    assert loaded.config.settings() | {"output_dir": ""} == model.config.settings() | {"output_dir": ""}
    with pytest.raises(gdns_tf.InputError, match="there is something already"):
        model.save(tmp_path / "model")
    model.save(tmp_path / "model", overwrite=True)
    (tmp_path / "other").mkdir()
    with pytest.raises(gdns_tf.InputError, match="there is something already"):
        model.save(tmp_path / "other", overwrite=True)  # no model, so not ours to delete
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "other"]


def test_a_failed_save_leaves_the_former_model(model, tmp_path, monkeypatch):
    model.save(tmp_path / "model")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "write_metrics", full)
    with pytest.raises(gdns_tf.InputError, match="No space left"):
        model.save(tmp_path / "model", overwrite=True)
    monkeypatch.undo()
    assert gdns_tf.load(tmp_path / "model").metrics == model.metrics
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_run_in_a_folder_is_gone_on_with_and_read_by_the_commands(data, model, half, tmp_path):
    folder, begun_at = half, []

    class Look(gdns_tf.Callback):
        def on_start(self, run):
            begun_at.append(run.epoch)

    whole = gdns_tf.fit(data, output_dir=folder, callbacks=[Look()], **QUICK)
    assert begun_at == [10]
    np.testing.assert_array_equal(whole.factors.queries, model.factors.queries)
    again = gdns_tf.load(folder)
    np.testing.assert_array_equal(again.factors.queries, whole.factors.queries)
    assert again.data.fingerprint == data.fingerprint
    folder.rename(tmp_path / "moved")  # the data moves with it
    assert gdns_tf.load(tmp_path / "moved").data.fingerprint == data.fingerprint
    with pytest.raises(gdns_tf.InputError, match="holds a run with `dim`=8, not 4"):
        gdns_tf.fit(data, output_dir=tmp_path / "moved", **QUICK | {"dim": 4})


def test_a_run_on_other_data_is_not_gone_on_with(clicks, half):
    fewer = gdns_tf.Dataset.from_dataframe(clicks[clicks.user_id != "u-5"], timestamp="ts", title="name")
    with pytest.raises(gdns_tf.InputError, match="made on data"):
        gdns_tf.fit(fewer, output_dir=half, **QUICK)


def test_other_data_replaces_what_was_kept_of_a_run_that_never_got_anywhere(clicks, data, tmp_path):
    class Fail(gdns_tf.Callback):
        def on_start(self, run):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gdns_tf.fit(data, output_dir=tmp_path / "run", callbacks=[Fail()], **QUICK)
    fewer = gdns_tf.Dataset.from_dataframe(clicks[clicks.user_id != "u-5"], timestamp="ts", title="name")
    gdns_tf.fit(fewer, output_dir=tmp_path / "run", **QUICK | {"max_epochs": 5})
    assert gdns_tf.load(tmp_path / "run").data.fingerprint == fewer.fingerprint


def test_refit_recommends_by_all_and_evaluates_by_what_was_held_out(model, refit, tmp_path):
    assert refit.metrics["test"] == model.metrics["test"]
    pd.testing.assert_frame_equal(refit.evaluate(), model.evaluate())
    assert (refit.factors.queries != model.factors.queries).any()
    refit.save(tmp_path / "model")
    np.testing.assert_array_equal(gdns_tf.load(tmp_path / "model").factors.queries, refit.factors.queries)


def test_settings_are_refused_with_the_nearest_right_name(data):
    for settings, message in (
        ({"smothing": 0.1}, "no setting `smothing`; did you mean 'smoothing'"),
        ({"sampler": "gnds"}, "`sampler`=gnds is not known; did you mean 'gdns'"),
        ({"scorer": "gfm"}, "`scorer`=gfm is not known; did you mean 'gmf'"),
        ({"sampler": "uniform", "smoothing": 0.1}, "no setting `smoothing` but of `sampler`=gdns or gdns_without_g"),
    ):
        with pytest.raises(gdns_tf.InputError, match=message):
            gdns_tf.fit(data, **QUICK | settings)
    with pytest.raises(gdns_tf.InputError, match=r"fit takes a gdns_tf\.Dataset, not a DataFrame"):
        gdns_tf.fit(pd.DataFrame({"user_id": [1], "item_id": [2]}))


class Counting(Uniform):
    """Remembers how often it has chosen, as an own sampler might."""

    def __init__(self):
        super().__init__()
        import tensorflow as tf

        self.steps = tf.Variable(0, trainable=False, dtype=tf.int64)

    def update(self, scored):
        self.steps.assign_add(1)


def test_a_sampler_of_ones_own_is_copied_for_each_run(data, tmp_path):
    mine, seen = Counting(), []

    class Look(gdns_tf.Callback):
        def on_end(self, run):
            seen.append(int(run.trainer.sampler.steps.numpy()))

    given, fewer = {"sampler": mine, "callbacks": [Look()], "output_dir": tmp_path / "run"}, QUICK | {"max_epochs": 5}
    model = gdns_tf.fit(data, **given, **fewer)
    uniform = gdns_tf.fit(data, sampler="uniform", **fewer)
    np.testing.assert_array_equal(model.factors.queries, uniform.factors.queries)
    assert gdns_tf.load(tmp_path / "run").config.sampler == "given:Counting"
    more = gdns_tf.fit(data, **given, **fewer | {"max_epochs": 7})
    assert more.metrics["epochs"] == 7
    steps = -(-data.train.num_users // 64)
    assert seen == [5 * steps, 7 * steps]
    assert mine.steps.numpy() == 0


def test_what_filters_drop_is_said(clicks, caplog):
    thin = pd.concat([clicks, clicks[:1].assign(user_id="u-rare")])
    with caplog.at_level(logging.WARNING, logger="gdns_tf"):
        gdns_tf.Dataset.from_dataframe(thin, timestamp="ts")
    assert "1 user" in caplog.text


def test_a_split_given_by_hand_is_trained_on(data):
    raw = {
        "train": pd.DataFrame(
            {"user_id": data.train.user_ids[data.train.users], "item_id": data.train.item_ids[data.train.items]}
        )
    }
    for name in ("valid", "test"):
        users, items = getattr(data, name).pairs
        raw[name] = pd.DataFrame({"user_id": data.train.user_ids[users], "item_id": data.train.item_ids[items]})
    own = gdns_tf.Dataset.from_split(**raw)
    assert own.train.num_interactions == data.train.num_interactions
    model = gdns_tf.fit(own, **QUICK | {"max_epochs": 5})
    assert 0 < model.metrics["test"]["mrr"] < 1


def test_repr_is_short(model):
    assert len(repr(model)) < 150
    assert "sampler gdns" in repr(model)
    assert Path(gdns_tf.__file__).with_name("py.typed").exists()
    assert replace(model.config, seed=1) != model.config


def test_stopped_without_a_folder_it_returns_the_best_so_far(data, caplog):
    class Stop(gdns_tf.Callback):
        def on_epoch(self, run, loss):
            if run.epoch == 12:
                signal.raise_signal(signal.SIGINT)

    with caplog.at_level(logging.WARNING, logger="gdns_tf"):
        model = gdns_tf.fit(data, callbacks=[Stop()], **QUICK)
    assert "the best model so far is returned" in caplog.text
    assert model.metrics["epochs"] == 12
    assert model.metrics["best_epoch"] in (5, 10)
    assert len(model.recommend(["u-17"], k=3)) == 3


def test_a_run_keeps_its_data_when_its_own_flags_start_it_afresh(data, half):
    again = gdns_tf.load(half).data
    assert isinstance(again, gdns_tf.Dataset)
    gdns_tf.fit(again, output_dir=half, overwrite=True, **QUICK | {"max_epochs": 5})
    assert gdns_tf.load(half).data.fingerprint == data.fingerprint


def test_a_built_in_sampler_may_be_given_as_an_object(data):
    by_name = gdns_tf.fit(data, sampler="nncf", **QUICK | {"max_epochs": 5})
    as_object = gdns_tf.fit(data, sampler=Nncf(), **QUICK | {"max_epochs": 5})
    np.testing.assert_array_equal(by_name.factors.queries, as_object.factors.queries)


def test_a_bad_export_dir_is_found_before_training(data, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(gdns_tf.InputError, match="cannot be written"):
        gdns_tf.fit(data, export_dir=str(tmp_path / "file" / "shop"), callbacks=[Never()], **QUICK)


class Never(gdns_tf.Callback):
    def on_start(self, run):
        raise AssertionError("it began")


def test_the_history_is_saved_too(model, tmp_path):
    model.save(tmp_path / "model")
    pd.testing.assert_frame_equal(gdns_tf.load(tmp_path / "model").history, model.history, check_exact=False, rtol=1e-5)
