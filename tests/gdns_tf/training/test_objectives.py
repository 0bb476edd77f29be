"""Every objective through a run: broken off and gone on with, exported, and served."""

import numpy as np
import pytest

import gdns_tf
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.train import train
from gdns_tf.samplers.base import Sampler, Selection
from gdns_tf.samplers.uniform import Uniform
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.dataset import Dataset
from pipelines.load import load_dataset

DATA = DataConfig(planted_users=150, planted_items=160)
SMALL = {"dim": 6, "eval_every": 1, "schedule": "constant", "tensorboard": False}
SAMPLED = {"objective": "sampled_softmax", "group_size": 8, "num_candidates": 16}


@pytest.fixture(scope="module")
def split():
    return load_dataset(DATA)


@pytest.fixture(scope="module")
def dataset():
    return Dataset.load("planted", planted_users=150, planted_items=160)


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "multinomial"},
        {"scorer": "svdpp"},
        SAMPLED,
        SAMPLED | {"sampler": "gdns_tracked"},
        SAMPLED | {"shared_negatives": True},
    ],
)
def test_a_run_that_is_gone_on_with_ends_as_one_in_one_go(settings, split, tmp_path):
    weights = []
    for name, legs in (("whole", [3]), ("broken", [1, 3])):
        for max_epochs in legs:
            config = TrainConfig.from_settings(
                output_dir=str(tmp_path / name), max_epochs=max_epochs, **SMALL, **settings
            )
            train(split, DATA, config, progress=False)
        with np.load(RunFolder(config.output_dir).weights) as file:
            weights.append(dict(file))
    assert weights[0].keys() == weights[1].keys()
    for name, values in weights[0].items():
        np.testing.assert_array_equal(values, weights[1][name], err_msg=name)


@pytest.mark.parametrize("settings", [{"scorer": "svdpp"}, {"history_tied": True}])
def test_the_scorers_kin_are_exported_and_serve_new_users(settings, dataset, tmp_path):
    model = gdns_tf.fit(
        dataset, max_epochs=3, refit=True, output_dir=tmp_path / "run", progress=False, **SMALL, **settings
    )
    model.export(tmp_path / "export")
    served = gdns_tf.Recommender.from_saved_model(tmp_path / "export")
    users = dataset.train.user_ids[:5].tolist()
    theirs = [dataset.train.item_ids[dataset.all_interactions().of(user)].tolist() for user in range(5)]
    by_history, known = served.recommend_by_history(theirs, k=5), served.recommend(users, k=5)
    np.testing.assert_allclose(known["score"], model.recommend(users, k=5)["score"], rtol=1e-4)
    same = np.allclose(by_history["score"], known["score"], rtol=1e-3)
    assert same == ("history_tied" in settings)  # SVD++ has a row for whom it knows
    vectors, factors = model.factors.encoder.vectors, model.factors.items
    sums = [vectors[dataset.all_interactions().of(user)].sum(axis=0) for user in range(5)]
    counts = np.array([len(items) for items in theirs])
    scores = (np.array(sums) * counts[:, None] ** -0.7) @ factors.T
    left_out = [dataset.all_interactions().of(user) for user in range(5)]
    best = [np.sort(np.delete(row, items))[::-1][:5] for row, items in zip(scores, left_out, strict=True)]
    np.testing.assert_allclose(by_history["score"].to_numpy().reshape(5, 5), best, rtol=1e-3, atol=1e-5)


class Hard(Uniform):
    def select(self, batch, scorer):
        return Selection(batch.candidates[:, -batch.group_size :])


def test_a_choice_of_ones_own_is_no_candidates_as_they_come():
    assert Uniform.takes_candidates
    assert not Hard.takes_candidates
    assert not Sampler.takes_candidates
    assert type("Still", (Uniform,), {"diagnostics": lambda self, batch: {}}).takes_candidates


@pytest.mark.parametrize("settings", [{"shared_negatives": True}, {"objective": "sampled_softmax", "group_size": 100}])
def test_a_given_sampler_that_takes_candidates_is_read_back(settings, dataset, tmp_path):
    model = gdns_tf.fit(
        dataset, sampler=Uniform(), max_epochs=1, output_dir=tmp_path / "run", progress=False, **SMALL, **settings
    )
    again = gdns_tf.load(tmp_path / "run")
    assert again.metrics == model.metrics
