"""The evaluate command: runs and weight files in, a table and one JSON line out, errors that say what to do."""

import json
import subprocess
import sys

import numpy as np
import pytest

from gdns_tf import evaluate
from gdns_tf.command import exit_code
from gdns_tf.evaluation.baselines import ease, popularity
from gdns_tf.evaluation.beyond_accuracy import beyond_accuracy
from gdns_tf.evaluation.ranking import evaluate as evaluate_model
from gdns_tf.evaluation.top_items import top_items
from gdns_tf.flags import replayable
from gdns_tf.models.gmf import GMF
from gdns_tf.models.weights_file import save_arrays
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.load import load_dataset

DATA = DataConfig(dataset="planted", planted_users=50, planted_items=150)
DATA_FLAGS = ["--planted_users=50", "--planted_items=150"]


@pytest.fixture(scope="module")
def dataset():
    return load_dataset(DATA)


def random_arrays(seed, num_users=50, num_items=150):
    rng = np.random.default_rng(seed)
    return {"P": rng.normal(size=(num_users, 4)), "Q": rng.normal(size=(num_items, 4)), "w": np.ones(4)}


def random_model(seed):
    return GMF.factors(random_arrays(seed), None)


def make_run(folder, seed, fingerprint):
    folder.mkdir()
    config = TrainConfig(output_dir=str(folder))
    (folder / "flags.txt").write_text(replayable([DATA, config]))
    (folder / "metrics.json").write_text(json.dumps({"data_fingerprint": fingerprint}))
    save_arrays(folder / "weights.npz", random_arrays(seed))
    return folder


@pytest.fixture
def run_dir(tmp_path, dataset):
    return make_run(tmp_path / "run", 0, dataset.fingerprint)


def command(*arguments):
    configs = [evaluate.EvaluateConfig, DataConfig]
    return exit_code(evaluate.main, evaluate.__doc__, configs, ["evaluate", *map(str, arguments)])


def summary_of(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_run_is_evaluated_on_its_own_data(run_dir, dataset, capsys):
    assert command(f"--run_dir={run_dir}") == 0
    out = capsys.readouterr().out
    summary = json.loads(out.splitlines()[-1])
    expected = evaluate_model(random_model(0), dataset, "test").means()
    assert summary["metrics"] == expected
    assert summary["data_fingerprint"] == dataset.fingerprint
    assert (summary["split"], summary["protocol"], summary["ties"]) == ("test", "sampled", "pessimistic")
    for name, (low, high) in summary["intervals"].items():
        assert low <= summary["metrics"][name] <= high
    assert f"ndcg@3    {expected['ndcg@3']:8.4f}" in out
    assert (summary["num_evaluated"], summary["num_held_out"]) == (50, 50)
    assert sum(group["users"] for group in summary["groups"]) == 50
    for group in summary["groups"]:
        fewest, most = group["interactions"]
        members = (dataset.train.counts >= fewest) & (dataset.train.counts <= most)
        of_users = evaluate_model(random_model(0), dataset, "test").per_user()["ndcg@10"]
        assert group["metrics"]["ndcg@10"] == pytest.approx(of_users[members].mean())
        assert f"{group['group']:10}{group['users']:9,}" in out
    lists = top_items(random_model(0), dataset.seen_before("test"), range(50), 10)
    assert summary["beyond_accuracy"] == {"num_lists": 50, "metrics": beyond_accuracy(lists, dataset.train)}
    assert f"coverage@10     {summary['beyond_accuracy']['metrics']['coverage@10']:8.4f}  share" in out
    assert "comparison" not in summary


def test_flags_choose_what_is_measured(run_dir, dataset, capsys):
    flags = ["--split=valid", "--protocol=full", "--ties=optimistic", "--k=2,5", "--bootstrap=0"]
    assert command(f"--run_dir={run_dir}", *flags) == 0
    summary = summary_of(capsys)
    expected = evaluate_model(random_model(0), dataset, "valid", "full", "optimistic", (2, 5)).means()
    assert summary["metrics"] == expected
    assert "intervals" not in summary


def test_a_weights_file_is_evaluated_on_the_data_of_the_flags(tmp_path, dataset, capsys):
    padded = random_arrays(0)
    save_arrays(tmp_path / "w.npz", padded | {"Q": np.vstack([padded["Q"], np.full((1, 4), 1e-17)])})
    assert command(f"--weights={tmp_path / 'w.npz'}", *DATA_FLAGS) == 0
    captured = capsys.readouterr()
    metrics = json.loads(captured.out.splitlines()[-1])["metrics"]
    assert metrics == evaluate_model(random_model(0), dataset, "test").means()
    assert "left out 1 row(s)" in captured.err


def test_comparison_with_a_run_and_with_a_file(run_dir, tmp_path, dataset, capsys):
    other = make_run(tmp_path / "other", 1, dataset.fingerprint)
    for path in (other, other / "weights.npz"):
        assert command(f"--run_dir={run_dir}", f"--compare={path}") == 0
        out = capsys.readouterr().out
        summary = json.loads(out.splitlines()[-1])
        comparison = summary["comparison"]
        assert comparison["metrics"] == evaluate_model(random_model(1), dataset, "test").means()
        for name, difference in comparison["differences"].items():
            assert difference == pytest.approx(summary["metrics"][name] - comparison["metrics"][name], abs=1e-12)
            assert 0 < comparison["p_values"][name] <= 1
        assert f"Compared with {path}" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either --run_dir or --weights"),
        (("--run_dir=a", "--weights=b"), "give either --run_dir or --weights"),
        (("--weights=b", "--k=3,0"), "--k=0 must be at least 1"),
        (("--weights=b", "--k="), "--k= must list"),
        (("--weights=b", "--bootstrap=-1"), "--bootstrap=-1 must be 0 or more"),
        (("--run_dir=no/such/run",), "no/such/run: there is no flags.txt"),
        (("--weights=b", "--compare=popularty"), "--compare=popularty: there is no such baseline, and no such run"),
        (("--weights=b", "--compare=popularty"), "did you mean 'popularity'"),
        (("--weights=absent.npz", *DATA_FLAGS), "absent.npz: there is no such file"),
    ],
)
def test_wrong_flags_are_named(arguments, message, capsys):
    assert command(*arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert not captured.out


def test_beside_popularity(run_dir, dataset, capsys):
    assert command(f"--run_dir={run_dir}", "--compare=popularity") == 0
    comparison = summary_of(capsys)["comparison"]
    assert comparison["metrics"] == evaluate_model(popularity(dataset.train), dataset, "test").means()


def test_several_held_out_items_are_told(tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = "".join(f"{user},{item},{rng.integers(1000)}\n" for user in range(50) for item in rng.permutation(150)[:30])
    (tmp_path / "a.csv").write_text("user_id,item_id,at\n" + rows)
    save_arrays(tmp_path / "w.npz", random_arrays(0))
    flags = ["--dataset=table", f"--data_dir={tmp_path / 'a.csv'}", "--timestamp_column=at", "--split_by=time"]
    arguments = (f"--weights={tmp_path / 'w.npz'}", *flags, "--test_share=0.3", "--bootstrap=0", "--compare=popularity")
    assert command(*arguments) == 0
    captured = capsys.readouterr()
    summary = json.loads(captured.out.splitlines()[-1])
    assert summary["num_held_out"] == pytest.approx(0.3 * 1500, abs=10)
    assert {"precision@10", "map@10", "hr@10"} < set(summary["metrics"])
    assert "precision@10" in captured.out
    assert "Split by time: validation from" in captured.err
    assert set(summary["beyond_accuracy"]["comparison"]) == set(summary["beyond_accuracy"]["metrics"])


def test_beside_an_untuned_baseline_whose_options_are_shown(run_dir, dataset, capsys):
    assert command(f"--run_dir={run_dir}", "--compare=ease", "--protocol=full", "--k=20") == 0
    out = capsys.readouterr().out
    comparison = json.loads(out.splitlines()[-1])["comparison"]
    (regularization,) = comparison["options"].values()
    expected = evaluate_model(ease(dataset.train, regularization=regularization), dataset, "test", "full", ks=(20,))
    assert comparison["metrics"] == expected.means()
    assert f"Compared with ease (untuned: regularization={regularization:g}), user by user" in out


def test_a_baseline_is_of_the_models_size(run_dir, capsys):
    assert command(f"--run_dir={run_dir}", "--compare=ials_scaled") == 0
    assert summary_of(capsys)["comparison"]["options"]["dim"] == 4


@pytest.mark.parametrize(
    ("argument", "message"), [("stray", "'stray' is no flag"), ("--rundir=x", "Did you mean: run_dir")]
)
def test_what_is_no_flag_is_refused(argument, message, capsys):
    assert command(argument) == 2
    assert message in capsys.readouterr().err


def test_weights_of_other_data_are_refused(run_dir, capsys):
    assert command(f"--weights={run_dir / 'weights.npz'}") == 1
    assert "weights.npz: the model is of 50 users and 150 items, but planted has 1500" in capsys.readouterr().err


def test_a_run_on_other_data_is_refused_even_if_the_shapes_fit(run_dir, dataset, capsys):
    assert command(f"--run_dir={run_dir}", "--planted_seed=1") == 1
    error = capsys.readouterr().err
    assert f"trained on data with fingerprint {dataset.fingerprint}, but this data has " in error


def test_an_unfinished_or_damaged_run_is_named(run_dir, capsys):
    (run_dir / "metrics.json").write_text("{")
    assert command(f"--run_dir={run_dir}") == 1
    assert "metrics.json: this is not the JSON object" in capsys.readouterr().err
    (run_dir / "metrics.json").unlink()
    (run_dir / "weights.npz").unlink()
    assert command(f"--run_dir={run_dir}") == 1
    assert "the folder has no weights.npz. Training writes it when it ends" in capsys.readouterr().err


def test_the_command_line_fails_without_a_traceback(tmp_path):
    line = [sys.executable, "-m", "gdns_tf.evaluate", f"--run_dir={tmp_path}"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not done.stdout
