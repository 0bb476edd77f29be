"""The planted set keeps its promises: taste, skew, known false negatives, and something to learn."""

import time
from dataclasses import replace

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.readers import planted


@pytest.fixture(scope="module")
def data():
    return planted.generate(DataConfig())


def dense(dataset):
    """[num_users, num_items] bool: observed (training and held out), and known false negatives."""
    shape = (dataset.train.num_users, dataset.train.num_items)
    observed, false_negatives = np.zeros(shape, bool), np.zeros(shape, bool)
    observed[dataset.train.users, dataset.train.items] = True
    for held_out in (dataset.valid.items, dataset.test.items):
        observed[np.arange(shape[0]), held_out] = True
    offsets, items = dataset.false_negatives
    false_negatives[np.repeat(np.arange(shape[0]), np.diff(offsets)), items] = True
    return observed, false_negatives


def ndcg_at_3(scores, dataset):
    """Mean over users of NDCG@3 of the test item among its negatives, ties against it."""
    users = np.arange(len(scores))
    ahead = scores[users[:, None], dataset.test.negatives] >= scores[users, dataset.test.items][:, None]
    rank = ahead.sum(axis=1)
    return np.where(rank < 3, 1 / np.log2(rank + 2), 0).mean()


def test_size_and_activity(data):
    assert (data.train.num_users, data.train.num_items) == (1500, 600)
    observed, _ = dense(data)
    counts = observed.sum(axis=1)
    assert counts.sum() == data.train.num_interactions + 2 * 1500, "held-out items are not in training, nor each other"
    assert counts.min() == planted.MIN_POSITIVES
    assert 35 < counts.mean() < 45
    # Heavy tail: the most active tenth has a quarter of everything, the mean is far above the median.
    assert np.sort(counts)[-150:].sum() > 0.24 * counts.sum()
    assert counts.mean() > 1.2 * np.median(counts)


def test_popularity_is_skewed(data):
    popularity = np.sort(np.bincount(data.train.items, minlength=600))[::-1]
    assert popularity[:60].sum() > 0.25 * popularity.sum()
    assert popularity[300:].sum() < 0.25 * popularity.sum()


def test_false_negatives_are_the_liked_items_that_are_not_observed(data):
    offsets, items = data.false_negatives
    assert (offsets.dtype, items.dtype) == (np.int64, np.int32)
    assert (len(offsets), offsets[0], offsets[-1]) == (1501, 0, len(items))
    observed, false_negatives = dense(data)
    assert false_negatives.sum() == len(items), "no repeats"
    assert not (observed & false_negatives).any()
    liked = (observed | false_negatives).sum(axis=1)
    assert (liked >= 0.10 * 600).all()
    assert (liked <= 0.25 * 600).all()
    assert (false_negatives.sum(axis=1) >= 0.25 * liked).all()


def test_liked_items_follow_latent_taste(data):
    observed, false_negatives = dense(data)
    liked = observed | false_negatives
    power = np.linalg.eigvalsh(np.cov(liked, rowvar=False))
    assert power[-8:].sum() > 0.5 * power.sum(), "eight dimensions of six hundred hold most of the variance"
    # The titles tell which items those are: of the genre that they like most, users like at least three times as much.
    genres = np.array([title.split()[0] for title in data.train.titles])
    share = np.stack([liked[:, genres == genre].mean(axis=1) for genre in planted.GENRES], axis=1)
    assert np.median(share.max(axis=1)) > 3 * np.median(liked.mean(axis=1))


def test_evaluation_negatives_are_truly_disliked(data):
    observed, false_negatives = dense(data)
    rows = np.arange(1500)[:, None]
    assert data.test.negatives.shape == (1500, 100)
    assert not (observed | false_negatives)[rows, data.test.negatives].any()
    assert (np.diff(np.sort(data.test.negatives, axis=1), axis=1) > 0).all()
    assert data.valid.negatives is data.test.negatives


def test_the_split_is_by_time(data):
    counts = data.train.counts
    assert data.train.timestamps.shape == (counts.sum(),)
    assert data.train.timestamps.min() >= 0
    # Times are random, so held-out items are like the others in popularity.
    popularity = np.bincount(data.train.items, minlength=600)
    assert popularity[data.test.items].mean() == pytest.approx(popularity[data.valid.items].mean(), rel=0.1)


def test_titles_name_the_genre(data):
    assert len(set(data.train.titles.tolist())) == 600
    for genre in planted.GENRES:
        of_genre = [title for title in data.train.titles if title.startswith(f"{genre} ")]
        assert of_genre == [f"{genre} {number:03d}" for number in range(1, len(of_genre) + 1)]


@pytest.mark.parametrize("seed", [0, 7])
def test_taste_can_be_learnt(seed):
    data = planted.generate(DataConfig(planted_seed=seed))
    observed = np.zeros((1500, 600))
    observed[data.train.users, data.train.items] = 1
    popularity = np.tile(observed.sum(axis=0), (1500, 1))
    # A truncated singular value decomposition: the 12 strongest directions of the items.
    directions = np.linalg.eigh(observed.T @ observed).eigenvectors[:, -12:]
    factors = observed @ directions @ directions.T
    chance = (1 + 1 / np.log2(3) + 1 / 2) / 101
    assert ndcg_at_3(popularity, data) > 3 * chance
    assert ndcg_at_3(factors, data) > 2 * ndcg_at_3(popularity, data)


def test_seeds():
    small = DataConfig(planted_users=60, planted_items=200)
    data = planted.generate(small)
    assert planted.generate(small).fingerprint == data.fingerprint
    assert planted.generate(replace(small, planted_seed=1)).fingerprint != data.fingerprint
    other = planted.generate(replace(small, split_seed=1))
    assert other.train.items.tolist() == data.train.items.tolist(), "split_seed draws the evaluation negatives only"
    assert (other.test.negatives != data.test.negatives).any()


@pytest.mark.parametrize("items", [133, 1])
def test_too_small_a_catalogue_says_how_many_it_needs(items):
    with pytest.raises(InputError, match=f"`planted_items`={items} .*Set `planted_items` to 134 or more"):
        planted.generate(DataConfig(planted_users=10, planted_items=items))


@pytest.mark.parametrize(("users", "items"), [(1, 134), (1100, 140)])
def test_the_smallest_catalogue_and_more_users_than_one_block(users, items):
    data = planted.generate(DataConfig(planted_users=users, planted_items=items))
    observed, false_negatives = dense(data)
    assert (observed.sum(axis=1) >= planted.MIN_POSITIVES).all()
    assert not (observed | false_negatives)[np.arange(users)[:, None], data.test.negatives].any()


def test_generates_in_well_under_a_second():
    start = time.process_time()
    planted.generate(DataConfig())
    assert time.process_time() - start < 1
