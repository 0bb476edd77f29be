"""The large planted set keeps its promises at any size, and is the same however it is cut."""

import os
from dataclasses import replace

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.ingest import beam
from pipelines.ingest.config import IngestConfig
from pipelines.ingest.run import ingest
from pipelines.load import load_dataset
from pipelines.readers import planted_large
from pipelines.readers.planted_large import Law

CONFIG = DataConfig(
    dataset="planted_large", planted_users=1300, planted_items=900, planted_user_items=30, planted_seed=5, split_seed=2
)


@pytest.fixture(scope="module")
def data():
    return load_dataset(CONFIG)


def liked_matrix(config):
    """[num_users, num_items] bool by brute force, in double precision."""
    law = Law(config)
    blocks = [law.users(block) for block in range(law.num_blocks)]
    scores = np.concatenate([of.tastes.astype(float) @ law.item_tastes.T.astype(float) for of in blocks])
    return scores >= np.concatenate([of.thresholds for of in blocks])[:, None]


def observed_matrix(split):
    observed = np.zeros((split.train.num_users, split.train.num_items), int)
    observed[split.train.users, split.train.items] += 1
    for part in (split.valid, split.test):
        observed[np.arange(len(observed)), part.items] += 1
    return observed


def test_users_take_what_they_like_and_are_asked_about_what_they_dislike(data):
    liked, observed = liked_matrix(CONFIG), observed_matrix(data)
    assert observed.max() == 1
    assert not (observed & ~liked).any()
    negatives = data.test.negatives
    assert negatives is data.valid.negatives
    assert not np.take_along_axis(liked, negatives, axis=1).any()
    assert all(len(set(row)) == 100 for row in negatives.tolist())
    offsets, items = data.false_negatives
    listed = np.zeros_like(liked)
    listed[np.repeat(np.arange(len(liked)), np.diff(offsets)), items] = True
    assert (listed == (liked & (observed == 0))).all()


def test_the_rule_tells_any_pair_without_a_matrix():
    liked, law = liked_matrix(CONFIG), Law(CONFIG)
    users = np.random.default_rng(0).integers(1300, size=200)
    assert (law.likes(users, np.arange(200)) == liked[users, np.arange(200)]).all()
    items = np.random.default_rng(1).integers(900, size=(200, 7))
    assert (law.likes(users, items) == liked[users[:, None], items]).all()
    assert 0.08 < liked.mean() < 0.27


def test_activity_has_a_heavy_tail_and_the_mean_that_was_set():
    law = Law(replace(CONFIG, planted_users=20_000, planted_items=100_000, planted_user_items=100))
    wanted = np.concatenate([law.users(block).wanted for block in range(law.num_blocks)])
    # Of 6 + 47 E^2 with E exponential: mean 100, standard deviation 47 * sqrt(20), median 6 + 47 * ln(2)^2.
    assert abs(wanted.mean() - 99.5) < 4 * 47 * 20**0.5 / 20_000**0.5
    assert wanted.min() == 6
    assert abs(np.median(wanted) - 28.6) < 2


def test_exposure_follows_zipfs_law_whatever_users_like():
    law = Law(replace(CONFIG, planted_users=2048, planted_items=2000, planted_user_items=40))
    taken = [law.taken(block).interactions.items for block in range(law.num_blocks)]
    popularity = np.sort(np.bincount(np.concatenate(taken), minlength=2000))[::-1]
    # A user who takes a share of what they like takes an item of weight w with probability 1 - exp(-c w), about.
    assert popularity[:200].sum() > 0.3 * popularity.sum()
    assert popularity[1000:].sum() < 0.25 * popularity.sum()
    slots = np.sort(np.bincount(law._slots, minlength=2000))[::-1]
    np.testing.assert_allclose(slots / slots.sum(), (w := 1 / (6 + np.arange(2000))) / w.sum(), rtol=0.15)


def test_held_out_items_are_the_latest(data):
    law = Law(CONFIG)
    for block in range(law.num_blocks):
        taken = law.taken(block).interactions
        for user in (0, 7, taken.num_users - 1):
            items, times = taken.of(user), taken.timestamps[taken.offsets[user] : taken.offsets[user + 1]]
            latest = items[np.argsort(-times, kind="stable")]
            number = block * planted_large.BLOCK + user
            assert (data.test.items[number], data.valid.items[number]) == tuple(latest[:2])
            assert data.train.of(number).tolist() == sorted(latest[2:])


def test_blocks_are_the_same_alone_and_users_do_not_depend_on_how_many_there_are():
    small, large = Law(replace(CONFIG, planted_users=512)), Law(replace(CONFIG, planted_users=10**8))
    for name in ("offsets", "items", "timestamps"):
        assert np.array_equal(getattr(small.taken(0).interactions, name), getattr(large.taken(0).interactions, name))
    assert np.array_equal(small.taken(0).negatives, large.taken(0).negatives)
    assert large.taken(0).liked is None, "which would be most of the data"
    last = large.taken(large.num_blocks - 1)
    assert last.interactions.user_ids[-1] == 10**8 - 1


def test_ingestion_makes_the_set_that_is_in_memory(data, tmp_path, monkeypatch):
    monkeypatch.setattr(beam, "_run_by_beam", lambda tasks, _: [task.run() for task in tasks])
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    manifest = ingest(CONFIG, IngestConfig(output_dir=tmp_path / "out", shards=4))
    assert manifest.fingerprint == data.fingerprint
    assert manifest.num_liked == len(data.false_negatives[1])
    found = load_dataset(DataConfig(dataset="ingested", data_dir=tmp_path / "out")).in_memory()
    assert found.train.titles.tolist() == data.train.titles.tolist()
    assert found.false_negatives[0].tolist() == data.false_negatives[0].tolist()
    assert found.false_negatives[1].tolist() == data.false_negatives[1].tolist()


def test_each_seed_changes_what_it_says():
    def of(**changes):
        return load_dataset(replace(CONFIG, planted_users=200, **changes))

    first, other_draws, other_set = of(), of(split_seed=3), of(planted_seed=6)
    assert first.train.items.tolist() == other_draws.train.items.tolist()
    assert first.test.negatives.tolist() != other_draws.test.negatives.tolist()
    assert first.train.items.tolist() != other_set.train.items.tolist()


def test_what_cannot_work_is_refused(monkeypatch):
    with pytest.raises(InputError, match="`planted_items`=199 are too few"):
        load_dataset(replace(CONFIG, planted_items=199))
    with pytest.raises(InputError, match=r"would take about .* Ingest it"):
        load_dataset(replace(CONFIG, planted_users=10**9, planted_items=10**5))


def test_the_smallest_catalogue_has_enough_to_dislike():
    data = load_dataset(replace(CONFIG, planted_users=600, planted_items=200, planted_user_items=100))
    assert data.test.negatives.shape == (600, 100)
    assert data.train.counts.min() >= 4
