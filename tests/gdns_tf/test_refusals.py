"""Whatever a command refuses, it leaves nothing behind, no empty folder either; what is there stays as it is."""

import json

import numpy as np
import pytest
from crash_points import contents
from planted_runs import PLANTED, make_run, random_factors

from gdns_tf import evaluate, export, recommend, train, tune
from gdns_tf.command import exit_code
from gdns_tf.flagfiles import FOR_TRAINING
from gdns_tf.models.factors import Factors
from gdns_tf.training.config import TrainConfig
from gdns_tf.tuning.config import TuneConfig
from pipelines.config import DataConfig
from pipelines.load import load_dataset

COMMANDS = {
    "train": (train, [TrainConfig, DataConfig], ["--output_dir=out/run"]),
    "tune": (tune, [TuneConfig, TrainConfig, DataConfig], ["--output_dir=out/run", "--tune_minutes=.01"]),
    "evaluate": (evaluate, [evaluate.EvaluateConfig, DataConfig], ["--run_dir=run"]),
    "export": (export, [export.ExportConfig, DataConfig], ["--run_dir=run", "--export_dir=out/model"]),
    "recommend": (recommend, [recommend.RecommendConfig, DataConfig], ["--run_dir=run", "--user=1"]),
}
TRAINING, ANY = ("train", "tune"), tuple(COMMANDS)
REFUSED = [
    (ANY, ["--no_such_flag=1"]),
    (ANY, ["stray"]),
    (ANY, ["--min_user_items=0"]),
    (("train", "tune", "evaluate", "export"), ["--dataset=table", "--data_dir=nowhere.csv"]),
    (("train", "tune", "evaluate", "export"), ["--dataset=table", "--data_dir=bad.csv"]),
    (TRAINING, ["--dim=0"]),
    (TRAINING, ["--learning_rate=inf"]),
    (TRAINING, ["--dataset=planted", "--planted_items=100"]),
    (TRAINING, ["--dataset=planted", "--planted_users=40", "--objective=multinomial", "--jit_compile"]),
    (TRAINING, ["--dataset=planted", "--output_dir=file"]),
    (TRAINING, ["--dataset=planted", "--output_dir=file/deeper"]),
    (TRAINING, ["--dataset=planted", "--output_dir=photos"]),
    (TRAINING, ["--dataset=planted", "--output_dir=photos", "--overwrite"]),
    (TRAINING, ["--dataset=planted", f"--output_dir={'x' * 300}/run"]),
    (TRAINING, ["--dataset=planted", "--output_dir=~nobody-of-this-name/run"]),
    (TRAINING, ["--dataset=planted", "--output_dir=ftp://host/run"]),
    (TRAINING, ["--dataset=planted", "--export_dir=file"]),
    (TRAINING, ["--dataset=planted", "--export_dir=file/deeper"]),
    (TRAINING, ["--dataset=planted", "--export_dir=ftp://host/model"]),
    (TRAINING, ["--dataset=planted", f"--export_dir={'x' * 300}"]),
    (("train",), ["--dataset=planted", "--warm_start=nowhere"]),
    (("train",), ["--dataset=planted", "--warm_start=run", "--scorer=svdpp"]),
    (("train",), ["--dataset=planted", "--sampler=gdns", "--gain_slots=-1"]),
    (("export", "evaluate", "recommend"), ["--run_dir=nowhere"]),
    (("export", "evaluate", "recommend"), ["--run_dir=photos"]),
    (("export", "evaluate"), ["--run_dir=infinite"]),
    (("export", "evaluate"), ["--run_dir=huge"]),
    (("export", "evaluate"), ["--run_dir=cut"]),
    (("export",), ["--run_dir=huge", "--export_anyway"]),
    (("export",), []),  # its scores are random
    (("export",), ["--export_dir=file"]),
    (("export",), ["--export_dir=file/deeper"]),
    (("export",), ["--k=0"]),
    (("export",), ["--version=-1"]),
    (("evaluate",), ["--compare=nothing"]),
    (("evaluate",), ["--weights=bad.csv", "--run_dir="]),
    (("evaluate",), ["--weights=huge/weights.npz", "--run_dir=", "--dataset=planted", "--planted_users=60"]),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with what the commands are given."""
    folder, split = tmp_path_factory.mktemp("place"), load_dataset(PLANTED)
    factors = random_factors(split)
    make_run(folder / "run", PLANTED, split, factors)
    (folder / "run/metrics.json").write_text(
        json.dumps(json.loads((folder / "run/metrics.json").read_text()) | {"popularity": {"valid": {"ndcg@3": 0.9}}})
    )
    for name, value in (("infinite", np.inf), ("huge", 3e20)):
        make_run(
            folder / name, PLANTED, split, Factors(*(np.full_like(a, value) for a in (factors.queries, factors.items)))
        )
    cut = make_run(folder / "cut", PLANTED, split, factors) / "weights.npz"
    cut.write_bytes(cut.read_bytes()[:500])
    (folder / "photos").mkdir()
    (folder / "photos/cat.jpg").touch()
    (folder / "file").touch()
    (folder / "bad.csv").write_text("a;b\n1;\n")
    return folder


@pytest.mark.parametrize(("command", "flags"), [(name, flags) for names, flags in REFUSED for name in names])
def test_nothing_is_left(place, monkeypatch, capsys, command, flags):
    module, configs, given = COMMANDS[command]
    monkeypatch.chdir(place)
    before = contents(place)
    recipes = {"recipes_in": FOR_TRAINING} if command in TRAINING else {}
    assert exit_code(module.main, module.__doc__, configs, [command, *given, *flags], **recipes) in (1, 2)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert contents(place) == before
