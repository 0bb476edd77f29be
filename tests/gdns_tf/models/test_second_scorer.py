"""The scorer seam: a scorer of one file and one line trains with every sampler, evaluates, resumes, exports, serves."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from toy import toy_interactions

import gdns_tf
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.examples.own_scorer import HistorySum
from gdns_tf.models.registry import SCORERS
from gdns_tf.runs.loading import load_trained
from gdns_tf.runs.train import train
from gdns_tf.samplers.registry import SAMPLERS
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.load import load_dataset

TOY = toy_interactions()
DATA = DataConfig(planted_users=200, planted_items=200)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(SCORERS, "_classes", dict(SCORERS))
    SCORERS.register("history_sum", HistorySum)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_trains_it(sampler):
    settings = {"group_size": 4, "num_candidates": 12, "dim": 5, "batch_size": 5, "init_scale": 0.3, "patience": 3}
    own = {"memory_size": 6, "top_candidates": 8}
    known = TrainConfig.from_settings(sampler=sampler).settings().keys()
    settings |= {name: value for name, value in own.items() if name in known}
    config = TrainConfig.from_settings(sampler=sampler, scorer="history_sum", **settings)
    trainer = build_trainer(TOY, config)
    before = [variable.numpy() for variable in trainer.trainable_variables]
    for batch in build_batches(TOY, config).take(4):
        assert np.isfinite(trainer.train_step(batch)["loss"])
    for old, new in zip(before, trainer.trainable_variables, strict=True):
        assert np.abs(old - new.numpy()).max() > 0


def test_the_factors_are_what_the_model_scores_by():
    scorer = HistorySum(TOY, 4, 1.0, 0)
    factors = HistorySum.factors(scorer.arrays(), TOY)
    users, items = tf.range(TOY.num_users), tf.tile(tf.range(TOY.num_items)[None], [TOY.num_users, 1])
    np.testing.assert_allclose(factors.queries @ factors.items.T, scorer((users, items)), rtol=1e-4, atol=1e-5)


def test_from_training_to_recommendations(tmp_path):
    split = load_dataset(DATA)
    config = TrainConfig(
        scorer="history_sum",
        output_dir=str(tmp_path / "run"),
        group_size=8,
        num_candidates=16,
        batch_size=64,
        dim=8,
        l2=0.001,
        init_scale=0.1,
        max_epochs=20,
        eval_every=5,
        refit=True,
    )
    first = train(split, DATA, config, progress=False)
    again = train(split, DATA, config, progress=False)  # read back from its checkpoint
    np.testing.assert_array_equal(first.best.queries, again.best.queries)
    assert np.load(tmp_path / "run/weights.npz").files == ["A", "Q"]
    trained = load_trained(tmp_path / "run", split)
    np.testing.assert_array_equal(trained.first.queries, first.best.queries)
    popular = gdns_tf.load(tmp_path / "run").evaluate()
    assert popular.loc["ndcg@3", "model"] == evaluate(trained.first, split, "test").means()["ndcg@3"]
    assert popular.loc["ndcg@3", "model"] > popular.loc["ndcg@3", "popularity"]
    model = gdns_tf.load(tmp_path / "run")
    folder = model.export(tmp_path / "shop")
    with gdns_tf.Recommender.from_saved_model(folder) as served:
        users = split.train.user_ids[:5].tolist()
        ours, theirs = model.recommend(users, k=3), served.recommend(users, k=3)
        assert ours.item.tolist() == theirs.item.tolist()
    seen = split.all_interactions()
    for user in range(5):
        scores = trained.served.queries[user] @ trained.served.items.T
        scores[seen.of(user)] = -np.inf
        best = np.argsort(-scores, kind="stable")[:3]
        assert ours[ours.user == users[user]].item.tolist() == split.train.item_ids[best].tolist()


def test_a_wrong_scorer_is_told_by_the_arrays_of_the_file(tmp_path):
    scorer = HistorySum(TOY, 4, 1.0, 0)
    np.savez(tmp_path / "weights.npz", **scorer.arrays())
    from gdns_tf.models.weights_file import load_weights

    assert load_weights(tmp_path / "weights.npz").scorer == "history_sum"
    with pytest.raises(gdns_tf.InputError, match="no array P"):
        load_weights(tmp_path / "weights.npz", "gmf")
    assert replace(TrainConfig(), scorer="history_sum", scorer_config=None).scorer_class is HistorySum
