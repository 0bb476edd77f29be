"""The tf.data pipeline: who and what it draws, how it is distributed, and that it can start anywhere."""

import itertools

import numpy as np
import pytest
from scipy.stats import chisquare

import pipelines.observed
from pipelines.batches import steps_per_epoch, user_batches
from pipelines.errors import InputError
from pipelines.interactions import Interactions


def interactions_of(item_lists, num_items):
    counts = [len(items) for items in item_lists]
    return Interactions(
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        items=np.array(list(itertools.chain(*item_lists)), np.int32),
        user_ids=np.arange(len(item_lists)),
        item_ids=np.arange(num_items),
    )


# In turn: one item; all but one; the first ones; the last ones; scattered and out of order.
ITEMS = 40
LISTS = [[7], [i for i in range(ITEMS) if i != 21], range(30), range(33, 40), [38, 2, 17, 3, 16, 0], [39]]
TRAIN = interactions_of(LISTS, ITEMS)


def batches(train=TRAIN, **changes):
    settings = {"batch_size": 4, "group_size": 5, "num_candidates": 9, "seed": 3}
    return user_batches(train, **(settings | changes))


def arrays(dataset, count):
    return [{name: value.numpy() for name, value in batch.items()} for batch in dataset.take(count)]


@pytest.fixture(params=["bitmap", "sorted pairs"])
def drawing(request, monkeypatch):
    if request.param != "bitmap":
        monkeypatch.setattr(pipelines.observed, "MAX_BITMAP_BYTES", 0)


@pytest.mark.usefixtures("drawing")
def test_positives_are_observed_and_candidates_are_not():
    for batch in arrays(batches(), 40):
        for user, positives, candidates in zip(batch["users"], batch["positives"], batch["candidates"], strict=True):
            assert set(positives) <= set(LISTS[user])
            assert not set(candidates) & set(LISTS[user])
            assert 0 <= candidates.min() <= candidates.max() < ITEMS
        assert batch["positives"].shape[1:] == (5,)
        assert batch["candidates"].shape[1:] == (9,)


@pytest.mark.usefixtures("drawing")
def test_draws_are_uniform():
    drawn = arrays(batches(num_candidates=50, group_size=50), 2 * 100)
    for user, items in enumerate(LISTS):
        rows = [
            (b["positives"][row], b["candidates"][row]) for b in drawn for row in np.flatnonzero(b["users"] == user)
        ]
        for position, pool in enumerate([sorted(items), sorted(set(range(ITEMS)) - set(items))]):
            counts = np.bincount(np.concatenate([row[position] for row in rows]), minlength=ITEMS)[pool]
            assert counts.sum() == 100 * 50
            assert len(pool) == 1 or chisquare(counts).pvalue > 1e-3


def test_every_user_once_an_epoch_in_a_new_order():
    steps = steps_per_epoch(6, 4)
    assert steps == 2
    orders = []
    for epoch in range(5):
        pair = arrays(batches(first_epoch=epoch), steps)
        orders.append(tuple(np.concatenate([batch["users"] for batch in pair])))
        assert [len(batch["users"]) for batch in pair] == [4, 2]
        assert [batch["step"] for batch in pair] == [2 * epoch, 2 * epoch + 1]
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert len(set(orders)) > 1


def test_a_later_start_goes_on_with_the_same_batches():
    whole, rest = arrays(batches(), 8), arrays(batches(first_epoch=2), 4)
    for expected, batch in zip(whole[4:], rest, strict=True):
        for name, value in expected.items():
            np.testing.assert_array_equal(value, batch[name])


def test_the_seed_changes_everything():
    one, other = arrays(batches(), 20), arrays(batches(seed=4), 20)
    for name in ("users", "positives", "candidates"):
        assert any((a[name] != b[name]).any() for a, b in zip(one, other, strict=True))


def test_draws_differ_between_steps_users_and_roles():
    train = interactions_of([range(20)] * 4, ITEMS)
    first, second = arrays(batches(train, group_size=9), 2)
    assert (first["positives"] != second["positives"]).any()
    assert len({tuple(row) for row in first["candidates"]}) == 4
    assert (first["positives"] != first["candidates"] - 20).any()


@pytest.mark.parametrize(("items", "message"), [([], "has no item"), (range(ITEMS), "has every item")])
def test_a_user_without_choice_is_named(items, message):
    with pytest.raises(InputError, match=f"user 1 {message}"):
        batches(interactions_of([[1, 2], items], ITEMS))
