"""Collapsed and diverged models are not exported: as factors, as a run, by `Model.export` and by the command."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from collapsed_models import COLLAPSED, good
from planted_runs import PLANTED, make_run

import gdns_tf
from gdns_tf import export
from gdns_tf.command import exit_code
from gdns_tf.evaluation.baselines import popularity
from gdns_tf.evaluation.selection import SelectionMetric
from gdns_tf.flags import replayable
from gdns_tf.models.weights_file import save_factors
from gdns_tf.serving.export import export_model, export_run
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError

DIVERGED = {"NaN"}
"""What cannot even be read back from a run's folder."""


@pytest.fixture(scope="module")
def good_run(tmp_path_factory, planted_dataset):
    return make_run(tmp_path_factory.mktemp("good") / "run", PLANTED, planted_dataset, good(planted_dataset))


def command(*arguments):
    return exit_code(export.main, export.__doc__, [export.ExportConfig, DataConfig], ["export", *map(str, arguments)])


@pytest.mark.parametrize("name", COLLAPSED)
def test_none_is_exported(name, planted_dataset, tmp_path, capsys):
    factors, told = COLLAPSED[name][0](planted_dataset), COLLAPSED[name][1]
    models = tmp_path / "models"
    remedy = "training diverged.*`learning_rate`" if name in DIVERGED else "`max_epochs`.*Or set `export_anyway`"
    with pytest.raises(InputError, match=f"not fit to be served: .*{told}.*{remedy}"):
        export_model(factors, planted_dataset, models)
    run = make_run(tmp_path / "run", PLANTED, planted_dataset, factors)  # whose metrics know nothing of popularity
    told = "The training diverged" if name in DIVERGED else told
    with pytest.raises(InputError, match=told):
        export_run(run, models)
    if name not in DIVERGED:
        with pytest.raises(InputError, match=told):
            gdns_tf.load(run, planted_dataset).export(models)
    assert command(f"--run_dir={run}", f"--export_dir={models}") == 1
    assert told in (error := capsys.readouterr().err)
    assert ("Or set --export_anyway" in error) == (name not in DIVERGED)
    assert not models.exists()


def test_a_good_one_is_exported(good_run, tmp_path, caplog):
    folder = export_run(good_run, tmp_path / "models")
    assert "not fit" not in (folder / "README.md").read_text()
    assert "not fit" not in caplog.text


def test_it_is_the_weights_that_are_judged_not_what_was_written_of_them(good_run, planted_dataset, tmp_path):
    run = shutil.copytree(good_run, tmp_path / "run")
    figures = {"ndcg@3": 0.9}
    told = {"best_epoch": 3, "valid": figures, "test": figures, "popularity": {"valid": {"ndcg@3": 0.0}}}
    (run / "metrics.json").write_text(json.dumps(told))
    save_factors(run / "weights.npz", COLLAPSED["untrained"][0](planted_dataset))
    with pytest.raises(InputError, match="not fit to be served"):
        export_run(run, tmp_path / "models")


def test_export_anyway_exports_it_and_its_card_says_what_it_is(planted_dataset, tmp_path, caplog):
    run = make_run(tmp_path / "run", PLANTED, planted_dataset, popularity(planted_dataset.train))
    assert command(f"--run_dir={run}", f"--export_dir={tmp_path / 'models'}", "--export_anyway") == 0
    figure = SelectionMetric("ndcg@3").of(popularity(planted_dataset.train), planted_dataset)
    told = f"every user gets the same list; validation ndcg@3 is {figure:.4f}, and that of popularity {figure:.4f}"
    card = (tmp_path / "models/1/README.md").read_text()
    assert f"**Exported, though not fit to be served**: {told}" in card


def test_what_is_no_number_is_not_exported_in_any_case(planted_dataset, tmp_path):
    with pytest.raises(InputError, match="The training diverged"):
        export_model(COLLAPSED["NaN"][0](planted_dataset), planted_dataset, tmp_path / "models", export_anyway=True)
    assert not (tmp_path / "models").exists()


def test_the_metric_is_that_of_the_run(planted_dataset, tmp_path):
    run = make_run(tmp_path / "run", PLANTED, planted_dataset, COLLAPSED["untrained"][0](planted_dataset))
    config = TrainConfig(output_dir=str(run), select="full_recall@20")
    (run / "flags.txt").write_text(replayable([PLANTED, config]))
    with pytest.raises(InputError, match=r"validation full_recall@20 is 0\.\d{4}, and that of popularity"):
        export_run(run, tmp_path / "models")


def test_a_second_training_that_went_wrong_is_not_exported(good_run, planted_dataset, tmp_path):
    run = shutil.copytree(good_run, tmp_path / "run")
    make_run(run / "refit", PLANTED, planted_dataset, COLLAPSED["untrained"][0](planted_dataset))
    (run / "refit/metrics.json").write_text('{"epochs": 3}')
    with pytest.raises(InputError, match="after the second training validation ndcg@3 is"):
        export_run(run, tmp_path / "models")


def test_factors_that_vanish_in_half_precision_are_not_exported(planted_dataset, tmp_path):
    factors = replace(good(planted_dataset), items=1e-9 * good(planted_dataset).items)
    assert not np.abs(factors.items).astype(np.float16).any()
    for anyway in (False, True):
        with pytest.raises(InputError, match=r"in float16 all items score alike.*`item_dtype`=float32"):
            export_model(factors, planted_dataset, tmp_path / "m", item_dtype="float16", export_anyway=anyway)
