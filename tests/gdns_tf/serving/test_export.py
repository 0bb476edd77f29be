"""What an export writes, and what it refuses."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from brute_force import seen_by
from planted_runs import PLANTED, make_run, random_factors

from gdns_tf.models.factors import Factors
from gdns_tf.models.weights_file import load_weights
from gdns_tf.runs.train import train
from gdns_tf.serving import export as export_module
from gdns_tf.serving.export import export_model, export_run
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.serving.in_memory import in_memory
from gdns_tf.training.config import TrainConfig
from pipelines.errors import InputError


def test_the_folder_holds_all_that_it_should(integer_model):
    folder, train = integer_model.folder, integer_model.dataset.train
    assert (folder / "assets/user_ids.txt").read_text().split() == [str(raw_id) for raw_id in train.user_ids]
    assert (folder / "assets/item_ids.txt").read_text().split() == [str(raw_id) for raw_id in train.item_ids]
    titles = dict(line.split("\t") for line in (folder / "assets.extra/titles.tsv").read_text().splitlines())
    assert titles == {str(raw_id): title for raw_id, title in zip(train.item_ids, train.titles, strict=True)}
    card = (folder / "README.md").read_text()
    made = "by the scorer `gmf`, trained with the sampler `gdns`, d = 8"
    row = "| ndcg@3 | 0.2500 | 0.2000 |"
    for part in ("# planted, version 1", made, integer_model.dataset.fingerprint, row, "--dim=32", "--smoothing=0.2"):
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


def test_without_the_serving_package_there_is_no_warm_up_and_it_says_so(planted_run, tmp_path, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    folder = export_run(planted_run, tmp_path, export_anyway=True)
    assert not (folder / "assets.extra/tf_serving_warmup_requests").exists()
    assert "No warm-up requests were written: pip install 'gdns_tf[serving]'" in caplog.text
    assert "It has no warm-up requests" in (folder / "README.md").read_text()


def test_half_precision_is_smaller_and_its_effect_is_told(planted_dataset, tmp_path, caplog):
    caplog.set_level("INFO", logger="gdns_tf")
    factors = random_factors(planted_dataset, seed=1, dim=64)
    run = make_run(tmp_path / "run", PLANTED, planted_dataset, factors)
    whole = export_run(run, tmp_path / "models", k=20, export_anyway=True)
    half = export_run(run, tmp_path / "models", k=20, item_dtype="float16", export_anyway=True)
    size = {folder: (folder / "variables/variables.data-00000-of-00001").stat().st_size for folder in (whole, half)}
    assert size[whole] - size[half] == 2 * factors.items.size
    users = tf.constant(planted_dataset.train.user_ids)
    out = tf.saved_model.load(str(half)).signatures["serving_default"](user_ids=users)
    before = tf.saved_model.load(str(whole)).signatures["serving_default"](user_ids=users)
    rounded = factors.items.astype(np.float16).astype(np.float64)
    queries = factors.queries.astype(np.float64)
    scores = queries @ rounded.T
    best = np.take_along_axis(scores, out["item_ids"].numpy(), axis=1)
    np.testing.assert_allclose(out["scores"], best, rtol=1e-5, atol=1e-5)
    changed = (out["item_ids"].numpy()[:, :10] != before["item_ids"].numpy()[:, :10]).any(axis=1).mean()
    largest = np.abs(scores - queries @ factors.items.T).max()
    assert changed > 0
    assert f"the ten best items differ for {changed:.2%} of 60 users, scores by at most {largest:.2g};" in caplog.text
    sentence = next(m for m in caplog.messages if m.startswith("Item factors in half precision"))
    assert "validation NDCG@3" in sentence
    assert sentence in (half / "README.md").read_text()


def overflowing(factors, name, value):
    array = getattr(factors, name).copy()
    array[0] = value
    return replace(factors, **{name: array})


@pytest.mark.parametrize(
    ("damage", "options", "message"),
    [
        (lambda run: shutil.rmtree(run), {}, "there is no flags.txt. Give the folder of a training run"),
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
        (lambda run: None, {"k": 0}, "`k`=0 must be at least 1"),
        (lambda run: None, {"version": 0}, "`version`=0 must be at least 1"),
        (lambda run: None, {"item_dtype": "int8"}, "`item_dtype`=int8 must be one of float32, float16"),
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
    for name, value, item_dtype, message in (
        ("items", 1e5, "float16", "beyond float16. Export with `item_dtype`=float32"),
        ("items", 3e38, "float32", "beyond float32"),
        ("queries", 3e38, "float32", "beyond float32"),
    ):
        factors = overflowing(random_factors(planted_dataset), name, value)
        with pytest.raises(InputError, match=message):
            export_model(factors, planted_dataset, tmp_path / "models", item_dtype=item_dtype, export_anyway=True)
    assert not (tmp_path / "models").exists()


def test_zero_factors_are_served_without_nan(planted_dataset):
    train = planted_dataset.train
    factors = Factors(np.zeros((train.num_users, 4)), np.zeros((train.num_items, 4)))
    signatures = in_memory(factors, planted_dataset, k=5).signatures()
    items, k = tf.constant([[0, 1]], tf.int64), tf.constant([3])
    default = signatures["serving_default"](user_ids=tf.constant([0], tf.int64))
    unseen = [item for item in range(train.num_items) if item not in seen_by(planted_dataset, 0)]
    assert default["item_ids"].numpy()[0].tolist() == unseen[:5]  # all tie, so the order is that of the items
    similar = signatures["similar_items"](item_ids=items[0], k=k)
    folded = signatures["retrieve_by_history"](history=items, k=k)
    assert similar["item_ids"].numpy().tolist() == [[1, 2, 3], [0, 2, 3]]
    assert folded["item_ids"].numpy().tolist() == [[2, 3, 4]]
    assert not similar["scores"].numpy().any()
    assert not folded["scores"].numpy().any()


@pytest.mark.parametrize(("side", "bad"), [("item_ids", ""), ("item_ids", "two\nlines"), ("user_ids", "a\rb")])
def test_ids_that_cannot_be_served_are_named(planted_dataset, tmp_path, side, bad):
    train = planted_dataset.train
    ids = np.array([f"x{raw_id}" for raw_id in getattr(train, side)])
    ids[5] = bad
    dataset = replace(planted_dataset, train=replace(train, **{side: ids}))
    with pytest.raises(InputError, match="cannot be served"):
        export_model(random_factors(dataset), dataset, tmp_path / "models", export_anyway=True)
    assert not (tmp_path / "models").exists()


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
        export_run(planted_run, tmp_path / "models", export_anyway=True)
    assert not (tmp_path / "models").exists()


def test_bad_options_are_found_before_the_data_is_read(planted_run, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "load_dataset", lambda data: pytest.fail("the data was read"))
    (tmp_path / "file").touch()
    (tmp_path / "models/7").mkdir(parents=True)
    for export_dir, options, message in (
        ("", {}, "`export_dir` is not set"),
        (tmp_path / "file", {}, "file: cannot be written: Not a directory. Choose another `export_dir`"),
        (tmp_path / "file/deeper", {}, "deeper: cannot be written: Not a directory"),
        ("ftp://host/models", {}, "ftp:// is not known"),
        (tmp_path / "models", {"version": 7}, "version 7 is there already"),
        (tmp_path / "models", {"k": 0}, "`k`=0 must be at least 1"),
    ):
        with pytest.raises(InputError, match=message):
            export_run(planted_run, export_dir, **options)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["7"]


def test_what_is_exported_after_a_second_training_and_what_is_said_of_it(planted_dataset, tmp_path, caplog):
    caplog.set_level("INFO", logger="gdns_tf")
    config = TrainConfig(output_dir=str(tmp_path / "run"), max_epochs=2, eval_every=1, tensorboard=False, refit=True)
    run = train(planted_dataset, PLANTED, config, progress=False)
    refit = load_weights(run.folder.refit.weights).factors(planted_dataset.all_interactions())
    scores = refit.queries @ refit.items.T
    assert not np.allclose(scores, run.best.queries @ run.best.items.T)

    folder = export_run(run.folder.path, tmp_path / "models", item_dtype="float16", export_anyway=True)
    model = tf.saved_model.load(str(folder))
    users, items = tf.constant([3], tf.int64), tf.constant([[5, 9]], tf.int64)
    served = model.signatures["rank"](user_ids=users, item_ids=items)["scores"]
    np.testing.assert_allclose(served[0], scores[3, [5, 9]], rtol=1e-2)
    (text,) = model.signatures["describe"](parts=tf.constant([""]))["json"].numpy()
    about = json.loads(text)
    assert about["refit"]
    assert about["metrics"]["test"] == run.folder.read_metrics()["test"]
    assert about["flags"]["refit"]
    assert "The metrics are those of the first training." in about["note"]
    assert about["note"] in (folder / "README.md").read_text()
    assert "half precision" in caplog.text
    assert "validation NDCG@3" not in caplog.text  # it was trained on the validation items


def test_a_model_that_is_no_run(planted_dataset, tmp_path):
    factors = Factors(np.ones((planted_dataset.train.num_users, 1)), planted_dataset.train.item_counts[:, None])
    folder = export_model(factors, planted_dataset, tmp_path / "popular", k=3, export_anyway=True)
    assert folder == tmp_path / "popular/1"
    card = (folder / "README.md").read_text()
    assert "Top-K recommendations, d = 1. Exported" in card
    assert "## Flags" not in card
