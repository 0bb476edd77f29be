"""What is said of how to repeat a run does repeat it."""

import shlex

import pytest

import gdns_tf
from gdns_tf.flags import read_config
from gdns_tf.runs.repeating import as_call, as_command, changed_settings
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.training.config import HARMLESS, TrainConfig
from pipelines.config import DataConfig

SETTINGS = [
    {},
    {"dim": 16, "seed": 3, "user_l2": 0.5, "output_dir": "runs/a", "refit": True},
    {"history_tied": True, "max_epochs": 7},
    {"scorer": "gmf", "objective": "multinomial"},
    {"sampler": "gdns", "smoothing": 0.1, "loss": "hinge"},
    {"sampler": "uniform", "scorer": "svdpp", "select": "full_ndcg@20"},
    {"objective": "sampled_softmax", "group_size": 16, "shared_negatives": True},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_call_makes_the_same_run(settings, monkeypatch, caplog):
    config = TrainConfig.from_settings(**settings)
    monkeypatch.setattr(gdns_tf, "fit", lambda data, **given: TrainConfig.from_settings(**given), raising=False)
    again = eval(as_call(config, separator=",\n"), {"gdns_tf": gdns_tf, "data": None})
    kept = {name: value for name, value in config.settings().items() if name in HARMLESS - {"max_epochs"}}
    assert again.with_settings(**kept) == config
    assert not caplog.records  # of settings without effect


def test_only_what_was_changed_is_said():
    assert changed_settings(TrainConfig.from_settings()) == {"objective": "multinomial", "scorer": "history"}
    changed = changed_settings(TrainConfig.from_settings(sampler="dns", l2=0.5, user_l2=9.0))
    assert changed == {"objective": "pairs", "scorer": "gmf", "sampler": "dns", "l2": 0.5}


def test_the_command_names_the_runs_flags(tmp_path):
    config = TrainConfig.from_settings(output_dir=str(tmp_path / "a run"), dim=5)
    RunFolder.open(DataConfig(), config).claim(DataConfig(), config)
    (flagfile,) = [a for a in shlex.split(as_command(config.output_dir)) if a.startswith("--flagfile=")]
    assert read_config(flagfile.removeprefix("--flagfile="), TrainConfig) == config
