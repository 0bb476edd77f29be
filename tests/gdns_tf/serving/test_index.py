"""The index partitions the items, and what is found in its cells is a sort of what is in them."""

import json
import sys

import numpy as np
import pytest
import tensorflow as tf
from planted_runs import random_factors

from gdns_tf.clients import InvalidRequest, Recommender
from gdns_tf.models.factors import Factors
from gdns_tf.recommend import RecommendConfig, ask
from gdns_tf.serving.description import describe
from gdns_tf.serving.export import check_options, export_model
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.serving.in_memory import served_model
from gdns_tf.serving.index import build_cells, capacity_for, describe_cells
from pipelines.errors import InputError

PADDING_SCORE = np.finfo(np.float32).min


@pytest.mark.parametrize("num_items", [1, 3, 150, 5000])
def test_cells_hold_every_item_once_and_are_nearly_full(num_items):
    items = np.random.default_rng(0).normal(size=(num_items, 5))
    items[num_items // 2 :] = items[0]  # what no axis can tell apart
    cells = build_cells(items)
    listed = cells.items >= 0
    assert sorted(cells.items[listed].tolist()) == list(range(num_items))
    assert cells.items.shape[1] == capacity_for(num_items)
    for cell, centroid in zip(cells.items, cells.centroids, strict=True):
        members = cell[cell >= 0]
        assert len(members)
        assert (np.diff(members) > 0).all()
        assert (cell[len(members) :] == -1).all()
        np.testing.assert_allclose(centroid, items[members].mean(axis=0), atol=1e-5)
    if num_items == 5000:
        assert listed.mean() > 0.6


def test_capacity_grows_with_the_root():
    assert [capacity_for(n) for n in (1, 10**5, 10**6, 10**7)] == [16, 16, 64, 256]


def test_clustered_items_are_found_in_few_cells():
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(40, 8)) * 3
    items, queries = (centres[rng.integers(0, 40, n)] + rng.normal(size=(n, 8)) for n in (20_000, 30))
    cells = build_cells(items)
    told = describe_cells(cells, queries, items, 20)
    assert told["cells"] == len(cells.items) > 1000
    scanned = told["probes"] / told["cells"]
    assert scanned < 0.15
    assert told["recall"] > 0.9
    found = []  # the same by whole sorts
    for query in queries:
        best = np.argsort(-(items @ query))[:20]
        near = cells.items[np.argsort(-(cells.centroids @ query))[: told["probes"]]]
        found.append(np.isin(best, near).mean())
    assert told["recall"] == pytest.approx(np.mean(found))


@pytest.fixture(scope="module")
def indexed(planted_dataset, tmp_path_factory):
    """Factors of small whole numbers, whose scores are exact and often equal; the cells; the signatures."""
    rng, train = np.random.default_rng(3), planted_dataset.train
    factors = Factors(rng.integers(-3, 4, (train.num_users, 4)), rng.integers(-3, 4, (train.num_items, 4)))
    cells = build_cells(factors.items)
    description = describe(factors, planted_dataset, k=10, item_dtype="float16", fold_in=FoldIn(), about={})
    description = {"model": "", "version": 1} | description
    model = served_model(factors, planted_dataset, description, FoldIn(), tmp_path_factory.mktemp("index"), cells)
    return factors, cells, model.signatures()


@pytest.mark.parametrize("probes", [1, 2, 5, 10**6])
def test_what_is_found_is_a_sort_of_the_cells_that_score_highest(indexed, planted_dataset, probes):
    factors, cells, functions = indexed
    seen, counts = planted_dataset.all_interactions(), planted_dataset.train.item_counts
    rng = np.random.default_rng(probes)
    users = np.array([*rng.integers(0, 60, 20), 999, 3])
    excluded = rng.integers(-1, 160, (len(users), 30))
    seen_too = rng.random(len(users)) < 0.5
    k = rng.integers(-1, 40, len(users)).astype(np.int32)
    answer = functions["retrieve_approximately"](
        user_ids=tf.constant(users),
        k=tf.constant(k),
        probes=tf.constant([probes]),
        exclude_seen=tf.constant(seen_too),
        exclude_ids=tf.constant(excluded),
    )
    answer = {name: value.numpy() for name, value in answer.items()}
    for row, user in enumerate(users):
        known = user < 60
        scores = factors.items @ factors.queries[user] if known else counts.astype(np.float32)
        most = np.array([counts[cell[cell >= 0]].max() for cell in cells.items])
        near = cells.centroids @ factors.queries[user] if known else most
        chosen = cells.items[np.argsort(-near, kind="stable")[:probes]].ravel()
        eligible = np.isin(np.arange(len(scores)), chosen) & ~np.isin(np.arange(len(scores)), excluded[row])
        if known and seen_too[row]:
            eligible[seen.of(user)] = False
        order = [item for item in np.argsort(-scores, kind="stable") if eligible[item]][: max(k[row], 0)]
        width = max(k.max(), 0)
        expected = [float(scores[item]) for item in order] + [PADDING_SCORE] * (width - len(order))
        assert answer["scores"][row].tolist() == expected
        items = answer["item_ids"][row].tolist()
        assert items[len(order) :] == [-1] * (width - len(order))
        # Which of equal scores are the last to be shown may depend on their cells; all before are in order.
        shown = [item for item in items if item >= 0 and scores[item] > scores[order[-1]]]
        assert shown == [item for item in order if scores[item] > scores[order[-1]]]
        assert eligible[items[: len(order)]].all()
        assert len(set(items[: len(order)])) == len(order)
        assert answer["known_user"][row] == known


def test_all_cells_are_all_items(indexed):
    _, cells, functions = indexed
    users = tf.constant([*range(60), 999], tf.int64)
    everything = {
        "k": tf.constant([25]),
        "exclude_seen": tf.constant([True]),
        "exclude_ids": tf.zeros([1, 0], tf.int64),
    }
    exact = functions["retrieve"](user_ids=users, restrict_to=tf.zeros([1, 0], tf.int64), **everything)
    found = functions["retrieve_approximately"](user_ids=users, probes=tf.constant([len(cells.items)]), **everything)
    np.testing.assert_array_equal(found["scores"], exact["scores"])


def test_an_export_with_an_index_and_its_client(planted_dataset, tmp_path):
    factors = random_factors(planted_dataset)
    folder = export_model(factors, planted_dataset, tmp_path / "gdns", k=10, index="ivf", export_anyway=True)
    with Recommender.from_saved_model(folder) as recommender:
        about = recommender.describe()["index"]
        assert (about["kind"], about["probes"], about["recall"], about["users"]) == ("ivf", about["cells"], 1.0, 60)
        users = [*range(20), 999]
        exact, found = (recommender.signatures.recommend(users, 12, exclude=[4], probes=p) for p in (0, 1000))
        np.testing.assert_array_equal(found.items[:20], exact.items[:20])  # popularity, of the last one, has ties
        np.testing.assert_allclose(found.scores, exact.scores, rtol=1e-5)
        few = recommender.signatures.recommend(users, 12, probes=1)
        assert (few.scores <= exact.scores + 1e-6).all()
        assert (few.scores < exact.scores - 1e-3).any()
        _, asked = ask(RecommendConfig(user=("3",), k=12, probes=1), recommender.signatures)
        np.testing.assert_array_equal(asked.items[0], few.items[3])
        with pytest.raises(InvalidRequest, match="restrict_to is answered exactly"):
            recommender.recommend(users, restrict_to=[3], probes=1)
    card = (folder / "README.md").read_text()
    assert "and finds 100.00% of the 10 best of 60 users" in card
    assert '"signature_name": "retrieve_approximately"' in card
    assert json.loads(json.dumps(about)) == about


def test_an_index_that_cannot_be_made(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="`index`=hnsw must be one of exact, ivf"):
        check_options(tmp_path / "models", index="hnsw")
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(InputError, match=r"needs scikit-learn.*pip install 'gdns_tf\[index\]'"):
        check_options(tmp_path / "models", index="ivf")
