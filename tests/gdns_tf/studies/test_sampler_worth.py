"""What samplers are worth: which trials are run, what is compared, and that the oracle draws nothing that is liked."""

import json
from dataclasses import replace

import numpy as np
import pytest
from here import trials_run_here

from gdns_tf.studies.config import StudyConfig
from gdns_tf.studies.oracle import Oracle
from gdns_tf.studies.sampler_arms import ARMS, QUESTIONS
from gdns_tf.studies.session import Session
from gdns_tf.study import study
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.load import load_dataset

DATA = DataConfig(planted_users=120, planted_items=200)
RECIPE = TrainConfig.from_settings(max_epochs=2, eval_every=1, dim=4)
NAMES = ("full", "uniform_32", "oracle_128", "uniform_128")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worth")
    with trials_run_here():
        config = StudyConfig(study="sampler_worth", study_dir=str(folder / "study"), arms=NAMES, seeds=(0, 1))
        study(Session(DATA, RECIPE, config))
    return folder / "study"


def test_every_arm_has_every_seed(folder):
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert [(row["label"], row["seed"]) for row in rows] == [(name, seed) for name in NAMES for seed in (0, 1)]
    assert len({json.dumps(row["test"]) for row in rows}) == len(rows)  # no two alike, so none stands for another


def test_the_report_compares_with_the_first_two_and_asks_what_it_can(folder):
    report = (folder / "report.md").read_text()
    assert "## Against full softmax" in report
    assert "## Against uniform, N = 32" in report
    assert "what would telling false negatives bring?" in report
    assert "does G help?" not in report
    assert (folder / "cost.png").exists()


def test_all_questions_are_of_arms():
    assert {name for _, *pair in QUESTIONS for name in pair} <= set(ARMS)
    assert {name: arm.label for name, arm in ARMS.items()} == {name: name for name in ARMS}


def test_an_unknown_arm_is_refused():
    with pytest.raises(InputError, match="`arms`: there is no 'unifrom_32'"):
        StudyConfig(study="sampler_worth", study_dir="x", arms=("unifrom_32",))


def test_the_oracle_draws_no_false_negative_and_is_corrected():
    split = load_dataset(DATA)
    settings = {"objective": "sampled_softmax", "group_size": 16, "num_candidates": 64, "batch_size": 40}
    config = TrainConfig.from_settings(sampler=Oracle(split), **settings)
    trainer = build_trainer(split.train, config)
    offsets, liked = split.false_negatives
    for data in build_batches(split.train, config).take(3):
        selection = trainer.sampler.select(trainer.batch(data), trainer.scorer)
        for user, candidates, chosen in zip(
            data["users"].numpy(), data["candidates"].numpy(), selection.negatives.numpy(), strict=True
        ):
            clean = candidates[~np.isin(candidates, liked[offsets[user] : offsets[user + 1]])]
            np.testing.assert_array_equal(chosen, clean[:16])
        users = data["users"].numpy()
        unobserved = split.train.num_items - split.train.counts[users]
        clean = unobserved - np.diff(offsets)[users]
        # How often an item that is no false negative is expected among 16, of all that are none alike.
        log_q = trainer._masses.log_expected(data["users"], selection.negatives, 64) + selection.log_chosen
        np.testing.assert_allclose(np.exp(log_q), np.broadcast_to((16 / clean)[:, None], log_q.shape), rtol=1e-4)
        assert np.isfinite(trainer.train_step(data)["loss"])


def test_known_false_negatives_are_the_planted_ones_or_the_held_out():
    split = load_dataset(DATA)
    users, items = split.known_false_negatives()
    offsets, liked = split.false_negatives
    assert len(users) == len(items) == offsets[-1]
    assert items[users == 7].tolist() == liked[offsets[7] : offsets[8]].tolist()
    users, items = replace(split, false_negatives=None).known_false_negatives()
    assert items[users == 7].tolist() == [split.valid.items[7], split.test.items[7]]
