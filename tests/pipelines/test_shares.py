"""Shares: every user belongs to one replica, is visited once an epoch, and all replicas take the same steps."""

import numpy as np
import pytest

from pipelines.batches import shared_batches, steps_per_epoch, user_batches, visits
from pipelines.interactions import Interactions
from pipelines.shares import Share, even_share, whole


@pytest.mark.parametrize(("users", "replicas"), [(1, 1), (7, 2), (7, 7), (1000, 3), (6040, 16)])
def test_every_user_is_of_one_replica(users, replicas):
    shares = [even_share(users, number, replicas) for number in range(replicas)]
    rows = [range(share.first, share.first + share.size) for share in shares]
    assert [user for row in rows for user in row] == list(range(users))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1


@pytest.mark.parametrize(("users", "batch_size", "replicas"), [(13, 4, 2), (13, 13, 3), (100, 10, 3), (29, 7, 4)])
def test_an_epoch_visits_every_user_once_in_as_many_steps_everywhere(users, batch_size, replicas):
    steps = steps_per_epoch(users, batch_size)
    visited, sizes = [], []
    for number in range(replicas):
        share = even_share(users, number, replicas)
        batches = list(visits(users, batch_size=batch_size, seed=1, share=share).take(2 * steps).as_numpy_iterator())
        assert [batch["step"] for batch in batches] == list(range(2 * steps))
        for epoch in (batches[:steps], batches[steps:]):
            order = np.concatenate([batch["users"] for batch in epoch])
            assert sorted(order) == list(range(share.first, share.first + share.size))
        visited.append([tuple(batch["users"]) for batch in batches])
        sizes.append([len(batch["users"]) for batch in batches])
    assert np.min(sizes) >= 1
    assert np.max(np.sum(sizes, axis=0)) <= batch_size + replicas
    assert visited[0][:steps] != visited[0][steps:]


@pytest.mark.parametrize(("size", "steps"), [(1, 1), (7, 7), (7, 3), (100, 9), (64, 16)])
def test_steps_within_some_users_are_those_that_end_there(size, steps):
    share = Share(1, (0, 5, 5 + size, 20 + size))
    ends = [share.bounds(step, steps)[1] for step in range(steps)]
    for users in range(size + 1):
        assert share.steps_within(users, steps) == sum(end <= users for end in ends)


def test_the_share_of_one_replica_is_what_there_is_without_shares():
    alone = visits(23, batch_size=5, seed=4).take(12).as_numpy_iterator()
    for ours, theirs in zip(visits(23, batch_size=5, seed=4, share=whole(23)).as_numpy_iterator(), alone, strict=False):
        assert ours["users"].tolist() == theirs["users"].tolist()


def test_replicas_draw_for_themselves_and_start_anywhere():
    lists = [[user % 5, 5 + user % 3] for user in range(12)]
    offsets, items = np.arange(0, 26, 2), np.ravel(lists).astype(np.int32)
    train = Interactions(offsets=offsets, items=items, user_ids=np.arange(12), item_ids=np.arange(30))
    options = {"batch_size": 12, "group_size": 3, "num_candidates": 50, "seed": 2}

    def drawn(number, first_epoch=0):
        share = even_share(12, number, 2)
        return list(user_batches(train, first_epoch=first_epoch, share=share, **options).take(3).as_numpy_iterator())

    for batch in drawn(0) + drawn(1):
        for user, positives, candidates in zip(batch["users"], batch["positives"], batch["candidates"], strict=True):
            assert set(positives) <= set(lists[user])
            assert not set(candidates) & set(lists[user])
    assert not np.array_equal(drawn(0)[0]["candidates"], drawn(1)[0]["candidates"])
    np.testing.assert_array_equal(drawn(1)[2]["candidates"], drawn(1, first_epoch=2)[0]["candidates"])


def test_negatives_that_users_share_are_those_of_all_replicas():
    train = Interactions(np.arange(0, 9), np.zeros(8, np.int32), np.arange(8), np.arange(40))
    options = {"batch_size": 8, "num_negatives": 20, "seed": 2}
    batches = [shared_batches(train, share=even_share(8, number, 2), **options) for number in range(2)]
    one, other = (next(iter(of_replica))["negatives"].numpy() for of_replica in batches)
    np.testing.assert_array_equal(one, other)
