"""`python -m gdns_tf.recommend`: what it prints, what it writes, and what it refuses before it loads a model."""

import csv
import functools
import json

import numpy as np
import pytest
import tensorflow as tf
from planted_runs import PLANTED, random_factors

from gdns_tf import recommend
from gdns_tf.clients import Recommender
from gdns_tf.command import exit_code
from gdns_tf.evaluation.top_items import top_items
from gdns_tf.serving.export import export_model
from pipelines.load import load_dataset


@pytest.fixture(scope="module")
def dataset():
    return load_dataset(PLANTED)


@pytest.fixture(scope="module")
def factors(dataset):
    return random_factors(dataset)


@pytest.fixture(scope="module")
def model(tmp_path_factory, dataset, factors):
    models = tmp_path_factory.mktemp("models")
    return export_model(factors, dataset, models / "planted", k=10, export_anyway=True).parent


@pytest.fixture(autouse=True, scope="module")
def loaded_once():
    """A version's folder is loaded by the first command that names it, and by no other: seconds each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.saved_model, "load", functools.cache(tf.saved_model.load))
        yield


@pytest.fixture
def run(capsys):
    """Runs the command; returns its exit code, what it printed and its messages."""

    def run(*arguments):
        code = exit_code(
            recommend.main, recommend.__doc__, [recommend.RecommendConfig], ["recommend", *map(str, arguments)]
        )
        return code, *capsys.readouterr()

    return run


def test_json_for_users(run, model, dataset, factors):
    code, out, _ = run(f"--model={model}", "--user=4,999", "-k", "3", "--format=json")
    known, unknown = json.loads(out)
    assert code == 0
    assert (known["user"], known["known"], unknown["user"], unknown["known"]) == (4, True, 999, False)
    expected = top_items(factors, dataset.all_interactions(), [4], 3)[0]
    assert [entry["item"] for entry in known["items"]] == expected.tolist()
    assert [entry["title"] for entry in known["items"]] == dataset.train.titles[expected].tolist()
    np.testing.assert_allclose(
        [entry["score"] for entry in known["items"]], factors.items[expected] @ factors.queries[4], rtol=1e-5
    )


def test_tables(run, model, dataset):
    _, out, _ = run(f"--model={model}", "--user=4,999", "--k=2")
    lines = out.splitlines()
    assert lines[0] == "User 4"
    assert lines[1].startswith("   1. ")
    assert lines[4] == "User 999: unknown user; the most popular items:"
    assert len(lines) == 7
    _, out, _ = run(f"--model={model}", "--history=5,9,999", "--k=2")
    assert out.splitlines()[0] == "History 5, 9, 999 (1 of them unknown)"
    _, out, _ = run(f"--model={model}", "--similar=3,999", "--k=1")
    first, found, _, second = out.splitlines()
    assert (first, second) == ("Similar 3", "Similar 999: unknown item")
    assert found.split()[:3] == ["1.", "7", "1.0000"]  # the item with the same factors
    assert found.endswith(dataset.train.titles[7])
    _, out, _ = run(f"--model={model}", "--user=4", "--restrict_to=999")
    assert out.splitlines()[1] == "  no item is left to recommend"


def test_reasons_are_shown_under_each_item_and_lists_are_less_of_one_kind(run, model, dataset):
    code, out, _ = run(f"--model={model}", "--user=4", "--k=3", "--why")
    lines = out.splitlines()
    assert code == 0
    assert len(lines) == 7
    titles = {str(dataset.train.titles[item]) for item in dataset.all_interactions().of(4)}
    for line in lines[2::2]:
        because, _, reasons = line.partition("because of ")
        assert not because.strip()
        assert {reason.rpartition(" (")[0] for reason in reasons.split(", ")} <= titles
    _, out, _ = run(f"--model={model}", "--user=4", "--k=2", "--why", "--format=json")
    assert [len(entry["because"]) for entry in json.loads(out)[0]["items"]] == [3, 3]
    _, out, _ = run(f"--model={model}", "--user=4", "--k=9", "--format=json")
    plain = [entry["item"] for entry in json.loads(out)[0]["items"]]
    assert "because" not in json.loads(out)[0]["items"][0]
    _, out, _ = run(f"--model={model}", "--user=4", "--k=9", "--mmr=0.6", "--format=json")
    varied = [entry["item"] for entry in json.loads(out)[0]["items"]]
    assert varied[0] == plain[0]
    assert varied != plain


def test_titles_of_a_file(run, model, tmp_path):
    (tmp_path / "titles.tsv").write_text("7\tThe seventh\n")
    _, out, _ = run(f"--model={model}", "--similar=3,7", "--k=1", f"--titles={tmp_path / 'titles.tsv'}")
    first, second = (line for line in out.splitlines() if line.startswith("   1. "))
    assert first.endswith("  The seventh")
    assert second.split() == ["1.", "3", "1.0000"]


def test_all_users_into_a_file(run, model, tmp_path, dataset):
    output = tmp_path / "recs.csv"
    code, out, _ = run(f"--model={model}", "--all-users", f"--output={output}", "--k=4", "--batch_size=7")
    assert (code, out) == (0, f"{output}: recommendations for 60 users\n")
    with output.open(encoding="utf-8", newline="") as file:
        users = [int(row["user_id"]) for row in csv.DictReader(file)]
    assert users == np.repeat(dataset.train.user_ids, 4).tolist()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "nothing is asked for. Give one of --user, --history, --similar and --all_users."),
        (["--user=1", "--history=2"], "--user and --history exclude each other"),
        (["--user=1", "--k=0"], "--k=0 must be at least 1"),
        (["--user=1", "--timeout=0"], "--timeout=0.0 must be above 0"),
        (["--user=1", "--model_version=3"], "--model_version and --model_label are a server's. Give --model=FOLDER"),
        (["--user=1", "--server=h:1", "--model_version=3", "--model_label=a"], "exclude each other"),
        (["--all_users"], "--all_users and --output go together"),
        (["--all_users", "--output=a.xls"], "--output=a.xls must end in .parquet, .csv, .jsonl"),
        (["--all_users", "--output=/no/such/a.csv"], "--output=/no/such/a.csv is in a folder that is not there"),
        (["--similar=1", "--exclude=2"], "--exclude has no effect on --similar"),
        (["--history=1", "--why"], "--why has no effect on --history"),
        (["--history=1", "--mmr=0.3"], "--mmr has no effect on --history"),
        (["--user=1", "--mmr=1.3"], "--mmr=1.3 must be at most 1"),
    ],
)
def test_what_cannot_work_is_told_before_a_model_is_loaded(run, monkeypatch, flags, message):
    monkeypatch.setattr(Recommender, "from_saved_model", lambda *_, **__: pytest.fail("a model was loaded"))
    code, out, err = run(*flags)
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert message in err


def test_errors_of_the_model_are_a_line(run, model, tmp_path):
    assert run(f"--model={tmp_path}", "--user=1")[::2] == (
        1,
        f"error: {tmp_path}: there is no SavedModel in it. "
        f"Write one with: python -m gdns_tf.export --run_dir=RUN --export_dir={tmp_path}\n",
    )
    code, _, err = run(f"--model={model}", "--user=Ann")
    assert (code, err) == (1, "error: user id 'Ann' is not a whole number, as this model's are\n")
    code, _, err = run(f"--model={tmp_path}", "--all_users", f"--output={tmp_path / 'a.csv'}")
    assert code == 1
    assert "has no exported model to take the ids of all users from. Give --model, with --server too." in err
