"""The examples run, the notebook as a notebook."""

from pathlib import Path

import pytest

import gdns_tf
from gdns_tf.examples import from_dataframe, own_sampler, own_scorer, rules
from gdns_tf.models.registry import SCORERS
from gdns_tf.samplers.registry import SAMPLERS

NOTEBOOK = Path(gdns_tf.__file__).parent / "examples/quickstart.ipynb"


@pytest.fixture(autouse=True)
def registries_as_before(monkeypatch):
    for registry in (SAMPLERS, SCORERS):
        monkeypatch.setattr(registry, "_classes", dict(registry))


@pytest.mark.parametrize(
    ("example", "shown"),
    [
        (from_dataframe, "Exported for TensorFlow Serving: 1"),
        (own_sampler, "own "),
        (own_scorer, "history_sum "),
        (rules, "because of i-"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_it_runs(example, shown, capsys):
    example.main(max_epochs=10)
    assert shown in capsys.readouterr().out


def test_the_quickstart_notebook_runs():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:  # fewer epochs than a reader would want
        cell.source = cell.source.replace("max_epochs=100", "max_epochs=10")
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    tables = [output["data"]["text/plain"] for output in outputs if "text/plain" in output.get("data", {})]
    assert any("popularity" in table and "ndcg@3" in table for table in tables)
    assert any("Item number" in table and "rank" in table for table in tables)
    assert not any("Error" in output.get("text", "") for output in outputs)
