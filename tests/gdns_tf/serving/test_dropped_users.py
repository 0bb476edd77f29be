"""Users who have too few items to be trained on are served by those, from a CSV of clicks to every way of asking."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

import gdns_tf
from gdns_tf import export, recommend, train
from gdns_tf.clients.in_process import InProcess
from gdns_tf.clients.signatures import Signatures
from gdns_tf.command import exit_code
from gdns_tf.models.factors import Factors
from gdns_tf.models.svdpp import SvdPp
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.serving.in_memory import in_memory
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig

NUM_USERS, DROPPED = 60, [f"u{user}" for user in range(9, 60, 10)]
"""Every tenth user has three items and a rating below the threshold; u60 has nothing but that."""


@pytest.fixture(scope="module")
def rows():
    """(user, item, rating, time) of 60 users, and of one more of whom no positive is left."""
    rng, rows = np.random.default_rng(0), [("u60", 3, 1, 0)]
    for user in range(NUM_USERS):
        few = f"u{user}" in DROPPED
        items = rng.choice(150, 4 if few else 12, replace=False).tolist()
        rows += [(f"u{user}", item, 2 if few and not at else 5, at) for at, item in enumerate(items)]
    return rows


@pytest.fixture(scope="module")
def clicks(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("dropped") / "clicks.csv"
    lines = ["userId,movieId,rating,timestamp", *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def data(clicks):
    return gdns_tf.Dataset.load(clicks)


@pytest.fixture(scope="module")
def histories(rows, data):
    """What each dropped user has of the catalogue, by the rows."""
    catalogue = set(data.train.item_ids.tolist())
    have = {user: [row[1] for row in rows if row[0] == user and row[2] >= 4] for user in DROPPED}
    return {user: [item for item in items if item in catalogue] for user, items in have.items()}


def run(module, configs, *arguments):
    return exit_code(module.main, "", configs, ["test", *arguments])


@pytest.fixture(scope="module")
def trained(clicks):
    """The folder of a run on the CSV, of which nothing was said but where it lies."""
    folder = clicks.parent / "run"
    settings = ["--max_epochs=2", "--eval_every=1", "--dim=8", "--tensorboard=false", "--show_users=0"]
    assert run(train, [TrainConfig, DataConfig], f"--data_dir={clicks}", f"--output_dir={folder}", *settings) == 0
    return folder


@pytest.fixture(scope="module")
def exported(trained):
    folder = trained.parent / "models/shop"
    configs = [export.ExportConfig, DataConfig]
    assert run(export, configs, f"--run_dir={trained}", f"--export_dir={folder}", "--k=20") == 0
    return folder


@pytest.fixture(scope="module")
def model(trained):
    return gdns_tf.load(trained)


@pytest.fixture(scope="module")
def served(exported):
    return gdns_tf.Recommender.from_saved_model(exported)


def best(data, query, items, own, k):
    """The k best item ids by NumPy, without the user's own, and their scores."""
    scores = items.astype(np.float64) @ query
    scores[np.isin(data.train.item_ids, own)] = -np.inf
    order = np.argsort(-scores, kind="stable")[:k]
    return data.train.item_ids[order].tolist(), scores[order]


def test_the_run_says_what_it_read_and_what_was_dropped(trained, data, capsys):
    flags = (trained / "flags.txt").read_text().splitlines()
    told = ["dataset=table", "user_column=userId", "item_column=movieId", "rating_column=rating"]
    assert {f"--{each}" for each in [*told, "timestamp_column=timestamp"]} <= set(flags)
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["data_fingerprint"] == data.fingerprint
    assert {name: counts["users"] for name, counts in metrics["dropped"].items()} == {
        "min_rating": 1,
        "min_user_items": len(DROPPED),
    }
    assert metrics["users_by_history"] == len(DROPPED)
    again = [f"--flagfile={trained / 'flags.txt'}"]
    assert run(train, [TrainConfig, DataConfig], *again) == 0  # which is finished
    shown = capsys.readouterr()
    assert "as it looks" not in shown.err, "a replay infers nothing"
    assert "dropped 7 row(s), among them all those of 1 user(s)" in shown.err
    assert "--min_user_items=6 items. 6 dropped user(s) are served" in shown.err
    assert "Dropped: min_user_items" in shown.out


@pytest.mark.parametrize("where", ["model", "served"])
def test_they_are_served_as_by_their_history(model, data, histories, where, request):
    encoder, items, asked = model.factors.encoder, model.factors.items, request.getfixturevalue(where)
    users = ["u0", DROPPED[0], "nobody", *DROPPED[1:], "u60", "u1"]
    answer = asked.recommend(users, k=7)
    known = answer.groupby("user").known.first()
    assert known.to_dict() == {user: user not in ("nobody", "u60") for user in users}
    by_history = asked.recommend_by_history([histories[user] for user in DROPPED], k=7)
    numbers = {item: number for number, item in enumerate(data.train.item_ids.tolist())}
    for place, user in enumerate(DROPPED):
        found, expected = answer[answer.user == user], by_history[by_history.history == place]
        assert found.item.tolist() == expected.item.tolist()
        np.testing.assert_allclose(found.score, expected.score, rtol=1e-5)
        mine = [numbers[item] for item in histories[user]]
        query = len(mine) ** -encoder.power * encoder.vectors[mine].astype(np.float64).sum(axis=0)
        ids, scores = best(data, query, items, histories[user], 7)
        assert found.item.tolist() == ids
        np.testing.assert_allclose(found.score, scores, rtol=1e-4)


def test_the_others_are_served_as_without_them(model, data):
    alone = in_memory(model.factors, replace(data, train=replace(data.train, dropped=None)))
    users = data.train.user_ids[:20].tolist()
    expected = Signatures(InProcess(alone.signatures(), "alone")).recommend(users, 9)
    found = model.signatures.recommend([*users, DROPPED[0]], 9)
    np.testing.assert_array_equal(found.items[:-1], expected.items)
    np.testing.assert_allclose(found.scores[:-1], expected.scores, rtol=1e-6)


def test_every_signature_of_users_knows_them(served, histories):
    user = DROPPED[2]
    whole = served.recommend([user], k=200, exclude_seen=False)
    assert set(histories[user]) <= set(whole.item)
    without = served.recommend([user], k=200)
    assert set(whole.item) - set(without.item) == set(histories[user])
    few = served.recommend([user], k=3, exclude=without.item[:2].tolist(), restrict_to=without.item[:9].tolist())
    assert few.item.tolist() == without.item[2:5].tolist()
    ranked = served.rank([user, "u0"], whole.item[:5].tolist())
    assert ranked.known.all()
    np.testing.assert_allclose(ranked.score[:5], whole.score[:5], rtol=1e-5)


def test_what_the_export_tells(exported, served, data):
    about = served.describe()
    assert (about["num_users"], about["num_users_by_history"]) == (NUM_USERS - len(DROPPED), len(DROPPED))
    assert "6 more users have too few items to be trained on" in (exported / "1/README.md").read_text()
    ids = (exported / "1/assets/user_ids.txt").read_text().split()
    assert ids == [*data.train.user_ids.tolist(), *DROPPED]


def test_in_bulk_all_are_asked_for(exported, served, tmp_path):
    output = tmp_path / "all.csv"
    arguments = [f"--model={exported}", "--all_users", f"--output={output}", "-k=3", "--batch_size=7"]
    assert run(recommend, [recommend.RecommendConfig], *arguments) == 0
    found = {}
    for row in csv.DictReader(output.open()):
        found.setdefault(row["user_id"], []).append(int(row["item_id"]))
    assert found.keys() == {f"u{user}" for user in range(NUM_USERS)}
    for user in (DROPPED[0], DROPPED[-1], "u1"):
        assert found[user] == served.recommend([user], k=3).item.tolist()


def random_model(data, kind):
    """Factors of each kind of model, of random parameters: how queries are made does not depend on them."""
    rng, train = np.random.default_rng(3), data.train
    items, vectors = rng.normal(size=(2, train.num_items, 6)).astype(np.float32)
    rows = rng.normal(size=(train.num_users, 6)).astype(np.float32)
    if kind == "gmf":
        return Factors(rows, items)
    return SvdPp.factors({"A": vectors, "Q": items, "P": rows, "history_power": np.float32(0.5)}, train)


@pytest.mark.parametrize(("kind", "item_dtype"), [("gmf", "float16"), ("svdpp", "float32")])
def test_any_model_serves_them(data, histories, kind, item_dtype):
    factors, strengths = random_model(data, kind), FoldIn(alpha=0.1, l2=0.5)
    model = in_memory(factors, data, item_dtype=item_dtype, fold_in=strengths)
    signatures = Signatures(InProcess(model.signatures(), "the model"))
    answer = signatures.recommend(DROPPED, 8)
    expected = signatures.recommend_by_history([histories[user] for user in DROPPED], 8)
    assert answer.known.all()
    np.testing.assert_array_equal(answer.items, expected.items)
    np.testing.assert_allclose(answer.scores, expected.scores, rtol=1e-5)
    stored = factors.items.astype(item_dtype).astype(np.float64)
    numbers = {item: number for number, item in enumerate(data.train.item_ids.tolist())}
    for row, user in enumerate(DROPPED):
        mine = [numbers[item] for item in histories[user]]
        if kind == "gmf":  # the ridge regression in closed form
            weak = strengths.alpha * stored.T @ stored + strengths.l2 * np.mean(stored**2) * np.eye(6)
            query = np.linalg.solve(stored[mine].T @ stored[mine] + weak, stored[mine].sum(axis=0))
        else:
            query = len(mine) ** -factors.encoder.power * factors.encoder.vectors[mine].astype(np.float64).sum(axis=0)
        ids, scores = best(data, query, stored, histories[user], 8)
        assert answer.items[row].tolist() == ids
        np.testing.assert_allclose(answer.scores[row], scores, rtol=1e-4, atol=1e-6)


def test_they_stay_with_data_that_is_saved(data, tmp_path, histories):
    data.save(tmp_path / "a.npz")
    again = gdns_tf.Dataset.load(tmp_path / "a.npz")
    assert again.fingerprint == data.fingerprint
    assert repr(again).endswith(", and 6 users by history>")
    rows = [again.train.item_ids[again.train.dropped.of(number)].tolist() for number in range(len(DROPPED))]
    assert dict(zip(again.train.dropped.user_ids.tolist(), rows, strict=True)) == histories
