"""The files of the Projector tab: a line of metadata for each vector, and what the columns hold."""

import csv
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.plugins import projector as plugin

from gdns_tf.models.factors import Factors
from gdns_tf.runs.tensorboard import projector
from gdns_tf.runs.tensorboard.projector import popularity_bins, write_projector
from pipelines.interactions import Interactions


@pytest.fixture
def train():
    rng = np.random.default_rng(0)
    counts = [5, 1, 0, 3, 3, 9, 2, 7]
    items = np.concatenate([np.full(n, item) for item, n in enumerate(counts)])
    offsets = np.arange(len(items) + 1)  # each user has one
    titles = np.array(["Up\tand\nover", "b", "c", "d", "e", "f", "g", "h"])
    order = rng.permutation(len(items))
    return Interactions(
        offsets, items[order].astype(np.int32), np.arange(len(items)), np.arange(100, 108), titles=titles
    )


def factors(num_items):
    rng = np.random.default_rng(1)
    return Factors(rng.normal(size=(3, 2)), rng.normal(size=(num_items, 2)), np.array([1.0, 3.0]))


def read(folder):
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), plugin.ProjectorConfig())
    (embedding,) = config.embeddings
    vectors = np.loadtxt(folder / embedding.tensor_path, delimiter="\t", ndmin=2)
    with (folder / embedding.metadata_path).open(newline="") as file:
        return vectors, list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_each_vector_has_its_title_and_its_popularity(train, tmp_path):
    of = factors(8)
    write_projector(tmp_path, of, train)
    vectors, rows = read(tmp_path)
    assert len(vectors) == len(rows) == 8
    counted = Counter(train.items.tolist())
    assert [int(row["users"]) for row in rows] == sorted((counted[i] for i in range(8)), reverse=True)
    for vector, row in zip(vectors, rows, strict=True):
        item = int(row["id"]) - 100
        np.testing.assert_allclose(vector, of.items[item] * [1, 3], rtol=1e-4)
        assert row["title"] == " ".join(train.titles[item].split())
        assert int(row["users"]) == counted[item]
        low, high = (int(bound) for bound in row["popularity"].split(": ")[1].removesuffix(" users").split(" to "))
        assert low <= counted[item] <= high


def test_without_titles_points_are_labelled_by_their_ids(train, tmp_path):
    write_projector(tmp_path, factors(8), replace(train, titles=None))
    assert list(read(tmp_path)[1][0]) == ["id", "users", "popularity"]


def test_of_a_large_catalogue_the_most_popular_are_shown(train, tmp_path, monkeypatch):
    monkeypatch.setattr(projector, "MOST_ITEMS", 3)
    write_projector(tmp_path, factors(8), train)
    vectors, rows = read(tmp_path)
    assert len(vectors) == 3
    assert [row["id"] for row in rows] == ["105", "107", "100"]


@pytest.mark.parametrize(
    "counts", [np.arange(100), np.ones(7, int), np.array([1] * 90 + [50] * 10), np.array([0, 0, 0, 1, 1000])]
)
def test_bins_hold_about_a_fifth_each_and_part_no_equals(counts):
    bins = popularity_bins(counts)
    for count in np.unique(counts):
        assert len(set(bins[counts == count])) == 1
    ordered = [counts[bins == name] for name in sorted(set(bins))]
    assert len(ordered) <= 5
    for lower, upper in pairwise(ordered):
        assert lower.max() < upper.min()
    if len(set(counts)) == len(counts):
        assert {len(of) for of in ordered} == {len(counts) // 5}
