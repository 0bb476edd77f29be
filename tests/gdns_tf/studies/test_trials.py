"""Trials: what names them, what they leave behind, and that studies share them."""

from dataclasses import replace

import numpy as np
import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from gdns_tf.evaluation.baselines import ease, popularity
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.evaluation.selection import SelectionMetric
from gdns_tf.evaluation.top_items import top_items
from gdns_tf.runs.loading import load_model
from gdns_tf.samplers.gdns import Gdns
from gdns_tf.studies.config import StudyConfig
from gdns_tf.studies.session import Session, overrides_of
from gdns_tf.studies.trial import Trial, read_result, run_trial
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.load import load_dataset

DATA = DataConfig(planted_users=120, planted_items=200)
TRAIN = TrainConfig(group_size=4, num_candidates=8, dim=4, batch_size=64, max_epochs=6, eval_every=2, patience=99)


def trial(task="train", options=(), **changes):
    return Trial("some", DATA, TRAIN.with_settings(**changes), task, options)


def events(folder):
    """What TensorBoard reads of a trial."""
    return EventAccumulator(str(folder / "tensorboard")).Reload()


def test_the_key_changes_with_what_matters_and_with_nothing_else():
    key = trial().key
    assert trial(output_dir="elsewhere", overwrite=True, tensorboard=False).key == key
    assert replace(trial(), data=replace(DATA, data_dir="elsewhere")).key == key
    assert replace(trial(), label="another").key == key
    others = [trial(seed=1), trial(smoothing=0.3), trial(max_epochs=7), trial("popularity"), trial(sampler="uniform")]
    others += [replace(trial(), data=replace(DATA, planted_seed=1)), trial("ials", (("alpha", 2.0),))]
    assert len({key, *(other.key for other in others)}) == 1 + len(others)
    assert trial("ials", smoothing=0.3, l2=0.5).key == trial("ials").key  # nothing that it goes by
    assert trial("ials", dim=5).key != trial("ials").key
    assert replace(trial(), full=True).key != key


def test_a_new_revision_of_a_sampler_is_another_trial(monkeypatch):
    keys = trial().key, trial(sampler="uniform").key, trial("popularity").key
    monkeypatch.setattr(Gdns, "revision", 2)
    assert trial().key != keys[0]
    assert (trial(sampler="uniform").key, trial("popularity").key) == keys[1:]


def test_a_trial_leaves_ranks_weights_and_history_and_is_not_run_twice(tmp_path):
    assert read_result(trial(), tmp_path) is None
    assert run_trial(trial(), tmp_path) == ""
    result = read_result(trial(), tmp_path)
    dataset = load_dataset(DATA)
    factors = load_model(result.folder, dataset)
    for split in ("valid", "test"):
        report = evaluate(factors, dataset, split=split)
        np.testing.assert_array_equal(result.ranks[split].places, report.ranks.places)
        assert result.metrics[split] == report.means()
    assert result.history["epoch"].tolist() == [2, 4, 6]
    curve = [event.step for event in events(result.folder).Tensors("curves/valid_ndcg@3")]
    assert curve == [2, 4, 6]
    (kept,) = events(result.folder).Tensors("weights_kept/test_ndcg@3")
    assert make_ndarray(kept.tensor_proto) == pytest.approx(result.metrics["test"]["ndcg@3"], rel=1e-6)
    assert 0 < result.seconds_to_best <= result.metrics["seconds"] + 1e-4
    assert not (result.folder / "checkpoints").exists()
    written = (result.folder / "ranks.npz").stat().st_mtime_ns
    run_trial(trial(), tmp_path)
    assert (result.folder / "ranks.npz").stat().st_mtime_ns == written


@pytest.mark.parametrize("task", ["train", "ease"])
def test_a_full_trial_also_leaves_ranks_against_all_items_and_measures(tmp_path, task):
    full = replace(trial(task), full=True)
    assert run_trial(full, tmp_path) == ""
    result = read_result(full, tmp_path)
    dataset = load_dataset(DATA)
    model = load_model(result.folder, dataset) if task == "train" else ease(dataset.train)
    for split in ("valid", "test"):
        report = evaluate(model, dataset, split, "full", ks=(10, 20))
        np.testing.assert_array_equal(result.ranks[f"full_{split}"].places, report.ranks.places)
        assert result.full_means(split) == report.means()
    for metric in (SelectionMetric("recall@3"), SelectionMetric("full_ndcg@20")):
        assert result.selected(metric) == metric.of(model, dataset)
    assert result.measures["memory"] >= result.measures["memory_before"]
    assert result.seconds_to_best > 0
    shown = set()
    for user in range(dataset.train.num_users):
        seen = {*dataset.train.of(user), *dataset.valid.of(user)}
        items = top_items(model, dataset.train, [user], 21)[0]
        shown |= set([item for item in items if item not in seen][:20])
    assert result.measures["coverage@20"] == pytest.approx(len(shown) / dataset.train.num_items)


def test_several_held_out_items_are_kept_as_they_were_ranked(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{user} {' '.join(map(str, rng.permutation(150)[:20]))}\n" for user in range(40)]
    (tmp_path / "a.txt").write_text("".join(rows))
    data = DataConfig(dataset="adjacency", data_dir=str(tmp_path / "a.txt"), split_by="ratio", test_share=0.3)
    several = replace(trial("popularity"), data=data, full=True)
    run_trial(several, tmp_path)
    ranks, dataset = read_result(several, tmp_path).ranks, load_dataset(data)
    for name, part, protocol in (("test", "test", "sampled"), ("full_valid", "valid", "full")):
        expected = evaluate(popularity(dataset.train), dataset, part, protocol).ranks
        np.testing.assert_array_equal(ranks[name].places, expected.places)
        np.testing.assert_array_equal(ranks[name].offsets, expected.offsets)


def test_divergence_is_kept_and_told(tmp_path):
    diverging = trial(optimizer="sgd", learning_rate=1e9, loss="squared_hinge")
    assert "diverged" in run_trial(diverging, tmp_path)
    assert "diverged" in run_trial(diverging, tmp_path)
    assert read_result(diverging, tmp_path) is None


def test_baselines(tmp_path):
    run_trial(trial("popularity"), tmp_path)
    ranks = read_result(trial("popularity"), tmp_path).ranks["test"]
    dataset = load_dataset(DATA)
    counts = np.bincount(dataset.train.items, minlength=dataset.train.num_items)
    expected = [
        np.sum(counts[negatives] >= counts[item])
        for item, negatives in zip(dataset.test.items, dataset.test.negatives, strict=True)
    ]
    np.testing.assert_array_equal(ranks.places, expected)


def test_overrides():
    assert overrides_of("l2=0.01; sampler=uniform;dim=8;smoothing=1") == {
        "l2": 0.01,
        "sampler": "uniform",
        "dim": 8,
        "smoothing": 1.0,
    }
    for text, message in (
        ("l3=1", "`l3`=1: there is no such setting"),
        ("l2", "l2"),
        ("dim=x", "`dim`=x: invalid literal"),
        ("dm=3", "did you mean 'dim'"),
    ):
        with pytest.raises(InputError, match=message):
            overrides_of(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"study_dir": ""}, "`study_dir` is not set"),
        ({"systems": ("uniform", "gnds")}, "there is no 'gnds'"),
        ({"seeds": (1, 1)}, "`seeds`=1,1"),
        ({"seeds": (100,)}, "`tuning_seeds` and `seeds` both hold 100"),
        ({"baseline": "srns", "systems": ("gdns",)}, "`baseline`=srns is not among"),
        ({"study": "grid"}, "`vary` is not set"),
        ({"study": "grid", "vary": ("l2",)}, "`vary`: 'l2' is no setting with values"),
        ({"vary": ("l3=1|2",)}, "`vary`: `l3`=1: there is no such setting"),
        (
            {"vary": tuple(f"{name}=0|0|0|0|0|0|0|0|0|0" for name in ("l2", "margin", "dropout", "seed", "user_l2"))},
            "`vary` comes to 100000 combinations, and 10,000 are the most",
        ),
        ({"workers": 0}, "`workers`=0"),
        ({"tuning_trials": 0}, "`tuning_trials`=0"),
        ({"dims": (32, 0)}, "`dims`=0 must be at least 1"),
        ({"peers": ("knn", "eese")}, "there is no 'eese'; did you mean 'ease'"),
        ({"peers": ("knn:64",)}, "knn has no size"),
        ({"peers": ("bpr:x",)}, "'bpr:x' has no size"),
    ],
)
def test_flags_that_cannot_work_are_refused_by_name(changes, message):
    with pytest.raises(InputError, match=message):
        StudyConfig(**({"study_dir": "x"} | changes))


def test_a_session_names_the_field_of_a_bad_override():
    session = Session(DATA, TRAIN, StudyConfig(study_dir="x"))
    with pytest.raises(InputError, match="`num_candidates`=8 must be at least `group_size`=16"):
        session.trial("some", {"group_size": 16}, 0)
