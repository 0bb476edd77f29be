"""Runs with random weights, exported: no training is needed to see whether a model is served rightly."""

import os
import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from planted_runs import PLANTED, make_run, random_factors

from gdns_tf.models.factors import Factors
from gdns_tf.serving.export import export_run
from gdns_tf.serving.fold_in import FoldIn
from pipelines.load import load_dataset
from pipelines.split import Split


@dataclass(frozen=True)
class Served:
    """An exported model and what it was made of."""

    folder: Path
    dataset: Split
    factors: Factors
    options: dict


@pytest.fixture(scope="session")
def planted_dataset():
    return load_dataset(PLANTED)


@pytest.fixture(scope="session")
def planted_run(tmp_path_factory, planted_dataset):
    return make_run(
        tmp_path_factory.mktemp("planted") / "run", PLANTED, planted_dataset, random_factors(planted_dataset)
    )


@pytest.fixture(scope="session")
def integer_model(tmp_path_factory, planted_run, planted_dataset):
    """Integer ids, k = 10."""
    options = {"k": 10, "fold_in": FoldIn(alpha=0.2, l2=0.7)}
    folder = export_run(planted_run, tmp_path_factory.mktemp("models") / "planted", export_anyway=True, **options)
    return Served(folder, planted_dataset, random_factors(planted_dataset), options)


@pytest.fixture(scope="session")
def string_model(tmp_path_factory, planted_dataset):
    """Ids are text, some of them awkward; k is above the catalogue."""
    train = planted_dataset.train
    users = np.array([f"user {number:03d}" for number in train.user_ids])
    items = np.array([f"ítem,{number}" for number in train.item_ids])
    items[:3] = ["007", " spaced ", "tab\tbed"]
    dataset = replace(planted_dataset, train=replace(train, user_ids=users, item_ids=items))
    factors = random_factors(dataset, seed=1)
    folder = tmp_path_factory.mktemp("strings")
    run = make_run(folder / "run", PLANTED, dataset, factors)
    served = export_run(run, folder / "words", k=10_000, split=dataset, export_anyway=True)
    return Served(served, dataset, factors, {"k": 10_000})


@pytest.fixture(scope="session")
def ask_alone(tmp_path_factory):
    """Answers requests in a fresh process that has nothing but TensorFlow."""

    def ask(requests):
        folder = tmp_path_factory.mktemp("alone")
        (folder / "requests").write_bytes(pickle.dumps([(str(model), *rest) for model, *rest in requests]))
        program = Path(__file__).with_name("serve_alone.py")
        command = [sys.executable, str(program), str(folder / "requests"), str(folder / "answers")]
        environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return pickle.loads((folder / "answers").read_bytes())

    return ask
