"""A model that makes queries of histories serves a new user as a known one with the same items."""

import numpy as np
import pandas as pd
import pytest

import gdns_tf
from gdns_tf.models.history import History
from pipelines.config import DataConfig
from pipelines.load import load_dataset

SETTINGS = {
    "scorer": "history",
    "objective": "multinomial",
    "optimizer": "adam",
    "learning_rate": 0.02,
    "batch_size": 64,
    "dim": 8,
    "init_scale": 0.05,
    "dropout": 0.0,
    "max_epochs": 12,
    "eval_every": 4,
    "progress": False,
}


@pytest.fixture(scope="module")
def data():
    return gdns_tf.Dataset.load("planted", planted_users=200, planted_items=200)


@pytest.fixture(scope="module")
def model(data):
    return gdns_tf.fit(data, **SETTINGS)


def test_it_learns(model):
    table = model.evaluate()
    assert table.loc["ndcg@3", "difference"] > 0.05
    assert table.loc["ndcg@3", "p_value"] < 0.01


@pytest.mark.parametrize("item_dtype", ["float32", "float16"])
def test_by_history_is_as_the_known_user(data, model, tmp_path, item_dtype):
    served = gdns_tf.Recommender.from_saved_model(model.export(tmp_path / item_dtype, item_dtype=item_dtype))
    seen, ids = data.all_interactions(), data.train.item_ids
    users = data.train.user_ids[:20].tolist()
    known = served.recommend(users, k=6)
    histories = [
        [*ids[seen.of(user)].tolist(), ids[seen.of(user)[0]], 999_999] for user in range(20)
    ]  # a repeat, one unknown
    new = served.recommend_by_history(histories, k=6)
    assert new.item.tolist() == known.item.tolist()
    np.testing.assert_allclose(new.score, known.score, rtol=1e-4)
    assert (new.num_unknown == 1).all()
    assert served.describe()["fold_in"] is None


def test_known_users_are_served_by_all_that_they_have(data, model):
    whole = History.factors(model._trained.weights.arrays, data.all_interactions())
    np.testing.assert_array_equal(model.factors.queries, whole.queries)
    measured = model.evaluate()["model"].to_dict()  # but by their training items alone
    assert model.metrics["test"].items() <= measured.items()


def test_a_run_that_was_broken_off_ends_as_one_that_was_not(data, tmp_path):
    class Stop(gdns_tf.Callback):
        def on_epoch(self, run, loss):
            if run.epoch == 7:
                raise KeyboardInterrupt

    settings = SETTINGS | {"schedule": "cosine", "output_dir": tmp_path / "run", "checkpoint_minutes": 0.0}
    with pytest.raises(KeyboardInterrupt):
        gdns_tf.fit(data, callbacks=[Stop()], **settings)
    again = gdns_tf.fit(data, **settings)
    whole = gdns_tf.fit(data, **settings | {"output_dir": tmp_path / "undisturbed"})
    np.testing.assert_array_equal(again.factors.queries, whole.factors.queries)
    np.testing.assert_array_equal(again.factors.items, whole.factors.items)


def test_save_load_and_commands_know_it(data, model, tmp_path):
    model.save(tmp_path / "model")
    loaded = gdns_tf.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.recommend_by_history([[3, 5]]), model.recommend_by_history([[3, 5]]))
    assert (
        load_dataset(DataConfig(dataset="saved", data_dir=str(tmp_path / "model/data.npz"))).fingerprint
        == data.fingerprint
    )
