"""What an export writes, what it refuses, and that a killed one leaves nothing to see."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from absl import flags as absl_flags
from brute_force import seen_by
from conftest import PLANTED, make_run, random_weights

from gdns_tf import export
from gdns_tf.flags import define
from gdns_tf.models.factors import Weights
from gdns_tf.serving import export as export_module
from gdns_tf.serving.export import export_run
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.train import train
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError

ROOT = Path(__file__).parents[3]


def test_the_folder_holds_all_that_it_should(integer_model):
    folder, train = integer_model.folder, integer_model.dataset.train
    assert (folder / "assets/user_ids.txt").read_text().split() == [str(raw_id) for raw_id in train.user_ids]
    assert (folder / "assets/item_ids.txt").read_text().split() == [str(raw_id) for raw_id in train.item_ids]
    titles = dict(line.split("\t") for line in (folder / "assets.extra/titles.tsv").read_text().splitlines())
    assert titles == {str(raw_id): title for raw_id, title in zip(train.item_ids, train.titles, strict=True)}
    card = (folder / "README.md").read_text()
    for part in ("# planted, version 1", integer_model.dataset.fingerprint, "| ndcg@3 | 0.2500 | 0.2000 |", "--dim=32"):
        assert part in card
    assert str(folder.parent) not in card


def test_seen_are_all_known_interactions(planted_dataset):
    seen = planted_dataset.all_interactions()
    for user in range(planted_dataset.train.num_users):
        assert sorted(seen.of(user).tolist()) == sorted(seen_by(planted_dataset, user))


def test_warm_up_requests_name_every_signature_with_all_its_inputs(integer_model):
    apis = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2", reason="needs gdns_tf[serving]")
    records = tf.data.TFRecordDataset(str(integer_model.folder / "assets.extra/tf_serving_warmup_requests"))
    requests = [apis.PredictionLog.FromString(r.numpy()).predict_log.request for r in records]
    signatures = tf.saved_model.load(str(integer_model.folder)).signatures
    assert {request.model_spec.signature_name for request in requests} == set(signatures)
    for request in requests:
        assert request.model_spec.name == "planted"
        function = signatures[request.model_spec.signature_name]
        out = function(**{name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()})
        assert all(len(value) == 1 for value in out.values())
        assert all(out[known].numpy().all() for known in out if known.startswith("known"))


def test_without_the_serving_package_there_is_no_warm_up_and_it_says_so(planted_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    folder = export_run(planted_run, tmp_path)
    assert not (folder / "assets.extra/tf_serving_warmup_requests").exists()
    assert "No warm-up requests were written: pip install 'gdns_tf[serving]'" in capsys.readouterr().out
    assert "It has no warm-up requests" in (folder / "README.md").read_text()


def test_half_precision_is_smaller_and_its_effect_is_told(planted_dataset, tmp_path, capsys):
    weights = random_weights(planted_dataset, dim=64)
    run = make_run(tmp_path / "run", PLANTED, planted_dataset, weights)
    whole = export_run(run, tmp_path / "models", k=20)
    half = export_run(run, tmp_path / "models", k=20, item_dtype="float16")
    size = {folder: (folder / "variables/variables.data-00000-of-00001").stat().st_size for folder in (whole, half)}
    assert size[whole] - size[half] == 2 * weights.Q.size
    users = tf.constant(planted_dataset.train.user_ids)
    out = tf.saved_model.load(str(half)).signatures["serving_default"](user_ids=users)
    before = tf.saved_model.load(str(whole)).signatures["serving_default"](user_ids=users)
    rounded = weights.Q.astype(np.float16).astype(np.float64)
    scores = weights.query.astype(np.float64) @ rounded.T
    best = np.take_along_axis(scores, out["item_ids"].numpy(), axis=1)
    np.testing.assert_allclose(out["scores"], best, rtol=1e-5, atol=1e-5)
    changed = (out["item_ids"].numpy()[:, :10] != before["item_ids"].numpy()[:, :10]).any(axis=1).mean()
    largest = np.abs(scores - weights.query.astype(np.float64) @ weights.Q.T).max()
    printed = capsys.readouterr().out
    assert changed > 0
    assert f"the ten best items differ for {changed:.2%} of 60 users, scores by at most {largest:.2g};" in printed
    sentence = next(line for line in printed.splitlines() if line.startswith("Item factors in half precision"))
    assert sentence in (half / "README.md").read_text()


def overflowing(weights, name, value):
    array = getattr(weights, name).copy()
    array[0] = value
    return replace(weights, **{name: array})


@pytest.mark.parametrize(
    ("damage", "options", "message"),
    [
        (lambda run: shutil.rmtree(run), {}, "there is no flags.txt. Give the --output_dir of a training run"),
        (lambda run: (run / "weights.npz").unlink(), {}, "the folder has no weights.npz. Training writes it"),
        (
            lambda run: np.savez(run / "weights.npz", P=np.full((60, 8), np.nan), Q=np.zeros((150, 8)), w=np.ones(8)),
            {},
            r"P\[0, 0\] is nan. The training diverged",
        ),
        (
            lambda run: (run / "metrics.json").write_text('{"data_fingerprint": "0123"}'),
            {},
            "trained on data with fingerprint 0123",
        ),
        (lambda run: (run / "metrics.json").write_text("{"), {}, "this is not the JSON object"),
        (lambda run: None, {"k": 0}, "--k=0 must be at least 1"),
        (lambda run: None, {"version": 0}, "--version=0 must be at least 1"),
        (lambda run: None, {"item_dtype": "int8"}, "--item_dtype=int8 must be one of float32, float16"),
        (lambda run: None, {"data": replace(PLANTED, planted_users=61)}, "trained on data with fingerprint"),
    ],
)
def test_what_cannot_be_exported_is_named_and_leaves_nothing(planted_run, tmp_path, damage, options, message):
    run = shutil.copytree(planted_run, tmp_path / "run")
    damage(run)
    with pytest.raises(InputError, match=message):
        export_run(run, tmp_path / "models" / "gdns", **options)
    assert not (tmp_path / "models").exists()


def test_numbers_too_large_are_refused(planted_dataset, tmp_path):
    weights = random_weights(planted_dataset)
    for name, value, item_dtype, message in (
        ("Q", 1e5, "float16", "beyond float16. Export with --item_dtype=float32"),
        ("Q", 3e38, "float32", "beyond float32"),
        ("P", 3e38, "float32", "beyond float32"),
    ):
        run = make_run(tmp_path / "run", PLANTED, planted_dataset, overflowing(weights, name, value))
        with pytest.raises(InputError, match=message):
            export_run(run, tmp_path / "models", item_dtype=item_dtype, dataset=planted_dataset)
    assert not (tmp_path / "models").exists() or not list((tmp_path / "models").iterdir())


def test_zero_factors_are_served_without_nan(planted_dataset, tmp_path):
    train = planted_dataset.train
    weights = Weights(np.zeros((train.num_users, 4)), np.zeros((train.num_items, 4)), np.ones(4))
    run = make_run(tmp_path / "run", PLANTED, planted_dataset, weights)
    model = tf.saved_model.load(str(export_run(run, tmp_path / "models", k=5)))
    items, k = tf.constant([[0, 1]], tf.int64), tf.constant([3])
    default = model.signatures["serving_default"](user_ids=tf.constant([0], tf.int64))
    unseen = [item for item in range(train.num_items) if item not in seen_by(planted_dataset, 0)]
    assert default["item_ids"].numpy()[0].tolist() == unseen[:5]  # all tie, so the order is that of the items
    similar = model.signatures["similar_items"](item_ids=items[0], k=k)
    folded = model.signatures["retrieve_by_history"](history=items, k=k)
    assert similar["item_ids"].numpy().tolist() == [[1, 2, 3], [0, 2, 3]]
    assert folded["item_ids"].numpy().tolist() == [[2, 3, 4]]
    assert not similar["scores"].numpy().any()
    assert not folded["scores"].numpy().any()


@pytest.mark.parametrize(("side", "bad"), [("item_ids", ""), ("item_ids", "two\nlines"), ("user_ids", "a\rb")])
def test_ids_that_cannot_be_served_are_named(planted_dataset, planted_run, tmp_path, side, bad):
    train = planted_dataset.train
    ids = np.array([f"x{raw_id}" for raw_id in getattr(train, side)])
    ids[5] = bad
    dataset = replace(planted_dataset, train=replace(train, **{side: ids}))
    (run := shutil.copytree(planted_run, tmp_path / "run")).joinpath("metrics.json").unlink()
    with pytest.raises(InputError, match="cannot be served"):
        export_run(run, tmp_path / "models", dataset=dataset)
    assert not list((tmp_path / "models").iterdir())


@pytest.mark.parametrize(("alpha", "l2"), [(-1, 1), (0.1, 0), (float("nan"), 1), (0.1, float("inf"))])
def test_fold_in_strengths_that_leave_the_query_undetermined(alpha, l2):
    with pytest.raises(InputError, match="alpha must be 0 or more, and l2 above 0"):
        FoldIn(alpha, l2)


def test_a_full_disk_leaves_nothing(planted_run, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        del args, kwargs
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_module, "format_card", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        export_run(planted_run, tmp_path / "models")
    assert not list((tmp_path / "models").iterdir())


def test_a_killed_export_leaves_no_version_and_the_next_one_tidies_up(planted_run, tmp_path):
    folder = tmp_path / "models"
    command = [sys.executable, "-m", "gdns_tf.export", f"--run_dir={planted_run}", f"--export_dir={folder}"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(folder.glob(".unfinished-1/variables/*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert [path.name for path in folder.iterdir()] == [".unfinished-1"]
    assert export_run(planted_run, folder) == folder / "1"
    assert [path.name for path in folder.iterdir()] == ["1"]


def run_command(*arguments):
    values = absl_flags.FlagValues()
    define(export.ExportConfig, values)
    define(DataConfig, values)
    return export.main(values(["export", *map(str, arguments)]), values)


def test_the_command(planted_run, tmp_path, capsys):
    flags = [f"--run_dir={planted_run}", f"--export_dir={tmp_path / 'm'}", "--version=4", "--k=7", "--fold_in_l2=3"]
    run_command(*flags)
    assert capsys.readouterr().out.splitlines()[-1] == f"Exported version 4: {tmp_path / 'm' / '4'}"
    describe = tf.saved_model.load(str(tmp_path / "m/4")).signatures["describe"]
    k, fold_in, version = (json.loads(part) for part in describe(parts=["k", "fold_in", "version"])["json"].numpy())
    assert (k, fold_in["l2"], version) == (7, 3.0, 4)
    for more, message in (
        ([], "error: .*version 4 is there already"),
        (["--run_dir="], "error: --run_dir is not set"),
        (["--export_dir="], "error: --export_dir is not set"),
        (["stray"], "error: 'stray' is no flag"),
        (["--planted_users=61"], "error: .*trained on data with fingerprint"),
    ):
        with pytest.raises(SystemExit, match=message):
            run_command(*flags, *more)
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["4"]


def test_training_ends_with_an_export(tmp_path):
    data = DataConfig(dataset="planted", planted_users=50, planted_items=140)
    config = TrainConfig(
        output_dir=str(tmp_path / "run"), export_dir=str(tmp_path / "m"), max_epochs=1, show_users=0, tensorboard=False
    )
    train(data, config)
    weights = Weights.load(tmp_path / "run/weights.npz")
    out = tf.saved_model.load(str(tmp_path / "m/1")).signatures["rank"](
        user_ids=tf.constant([3], tf.int64), item_ids=tf.constant([[5, 9]], tf.int64)
    )
    np.testing.assert_allclose(out["scores"][0], (weights.query @ weights.Q.T)[3, [5, 9]], rtol=1e-5, atol=1e-9)
    assert not config.changes(replace(config, export_dir=""))
