"""The commands and the API on a run that lives in an object store, which is memory here."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from etils.epath import backend

import gdns_tf
from gdns_tf import evaluate, export, train
from gdns_tf.command import exit_code
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.paths import RemotePath, as_path

QUICK = {"dim": 4, "batch_size": 64, "eval_every": 1, "schedule": "constant"}


def command(module, config_class, *arguments):
    return exit_code(module.main, module.__doc__, [config_class, DataConfig], [module.__name__, *arguments])


@pytest.fixture
def data():
    return gdns_tf.Dataset.load("planted", planted_users=100, planted_items=140)


@pytest.fixture
def google_store(monkeypatch):
    """The address of a folder of gs://, which is TensorFlow's file system in memory here."""
    if as_path("gs://bucket/x")._backend is not backend.tf_backend:
        pytest.skip("etils reads gs:// otherwise here")

    def moved(do):
        def done(*paths, **kwargs):
            here = [path.replace("gs://", "ram://") for path in paths]
            if do is tf.io.gfile.copy:  # files in memory need folders, and are added to; those of a store are not
                tf.io.gfile.makedirs(here[1].rpartition("/")[0])
                if tf.io.gfile.exists(here[1]):
                    tf.io.gfile.remove(here[1])
            return do(*here, **kwargs)

        return done

    names = ("exists", "isdir", "listdir", "remove", "copy", "GFile")
    moved_gfile = SimpleNamespace(**{name: moved(getattr(tf.io.gfile, name)) for name in names})
    monkeypatch.setattr(type(backend.tf_backend), "gfile", moved_gfile)
    yield "gs://bucket"
    tf.io.gfile.rmtree("ram://bucket")


def test_trained_evaluated_and_exported(store, capsys):
    flags = [f"--{name}={value}" for name, value in QUICK.items()]
    flags += ["--planted_users=100", "--planted_items=140", "--show_users=0", f"--output_dir={store}/run"]
    assert command(train, TrainConfig, *flags, "--max_epochs=1") == 0
    assert command(train, TrainConfig, *flags, "--max_epochs=2") == 0
    shown = capsys.readouterr()
    assert f"Going on after epoch 1 of {store}/run" in shown.err
    assert f"curves are in {store}/run: tensorboard --logdir {store}/run/tensorboard" in shown.out
    assert command(evaluate, evaluate.EvaluateConfig, f"--run_dir={store}/run", "--bootstrap=0") == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    metrics = json.loads(as_path(f"{store}/run/metrics.json").read_text())
    assert summary["metrics"] == metrics["test"]
    # After two epochs it need not beat popularity, which is not what this test is about.
    exported = [f"--run_dir={store}/run", f"--export_dir={store}/shop", "--export_anyway"]
    assert command(export, export.ExportConfig, *exported) == 0
    assert as_path(f"{store}/shop/1/saved_model.pb").exists()
    assert command(train, TrainConfig, *flags, "--dim=8") == 1
    assert f"error: {store}/run: the folder holds a run with --dim=4, not 8" in capsys.readouterr().err


def test_a_model_is_saved_and_loaded(store, data, monkeypatch):
    model = gdns_tf.fit(data, max_epochs=2, refit=True, progress=False, **QUICK)
    model.save(f"{store}/model")
    loaded = gdns_tf.load(f"{store}/model")
    np.testing.assert_array_equal(loaded.factors.queries, model.factors.queries)
    pd.testing.assert_frame_equal(loaded.evaluate(), model.evaluate())
    assert loaded.data.fingerprint == data.fingerprint
    with pytest.raises(gdns_tf.InputError, match=rf"{store}/model: there is something already"):
        model.save(f"{store}/model")
    other = gdns_tf.fit(data, max_epochs=1, progress=False, **QUICK)
    other.save(f"{store}/model", overwrite=True)
    assert not as_path(f"{store}/model/refit/weights.npz").exists()
    np.testing.assert_array_equal(gdns_tf.load(f"{store}/model").factors.queries, other.factors.queries)


def test_a_save_that_is_broken_off_leaves_no_model_and_can_be_done_again(store, data, monkeypatch):
    model = gdns_tf.fit(data, max_epochs=1, progress=False, **QUICK)
    model.save(f"{store}/model")
    upload, left = RemotePath.upload, [2]

    def breaks(path, local):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        upload(path, local)

    monkeypatch.setattr(RemotePath, "upload", breaks)
    with pytest.raises(KeyboardInterrupt):
        model.save(f"{store}/model", overwrite=True)
    with pytest.raises(gdns_tf.InputError, match=r"has no weights\.npz"):
        gdns_tf.load(f"{store}/model")
    left[0] = 99
    model.save(f"{store}/model", overwrite=True)
    assert gdns_tf.load(f"{store}/model").metrics == model.metrics


def test_google_s_store_by_tensorflow_s_files(google_store, data):
    """The same code as for gs:// but for the network: TensorFlow's own interface to files."""
    settings = {"output_dir": f"{google_store}/run", "refit": True, "progress": False, "checkpoint_minutes": 0.0}
    gdns_tf.fit(data, max_epochs=1, **settings, **QUICK)
    gdns_tf.fit(data, max_epochs=2, **settings, **QUICK)
    undisturbed = gdns_tf.fit(data, max_epochs=2, refit=True, progress=False, **QUICK)
    loaded = gdns_tf.load(f"{google_store}/run")
    np.testing.assert_array_equal(loaded.factors.queries, undisturbed.factors.queries)
    columns = undisturbed.history.columns.drop("seconds")
    pd.testing.assert_frame_equal(loaded.history[columns], undisturbed.history[columns])
    assert len(list(as_path(f"{google_store}/run/checkpoints").iterdir())) == 1 + 2 * 3  # two, and their list
    gdns_tf.fit(data, max_epochs=1, overwrite=True, **settings | {"refit": False}, **QUICK)
    assert not as_path(f"{google_store}/run/refit/flags.txt").exists()
