"""Batches from shards: who is in them, that seed and epoch give their order, and that they begin anywhere."""

import numpy as np
import pytest
import tensorflow as tf
from test_ingested import PLANTED

import pipelines.streamed_batches
from pipelines.errors import InputError
from pipelines.ingested import save_shards
from pipelines.streamed import StreamedFolder, StreamedSplit
from pipelines.streamed_batches import shared_batches, user_batches, visits, window_users

STEPS = 5  # of 30 users, 7 at a time


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Of 30 users in 4 shards, of whom a window has fewer."""
    monkeypatch.setattr(pipelines.streamed_batches, "WINDOW_BYTES", 8000)
    save_shards(PLANTED, tmp_path, num_shards=4)
    return StreamedSplit(StreamedFolder(tmp_path)).train


def batches(train, **changes):
    settings = {"batch_size": 7, "group_size": 5, "num_candidates": 9, "seed": 3}
    return user_batches(train, **(settings | changes))


def taken(dataset, count):
    """Batches as dictionaries of arrays; of ragged rows, lists."""
    return [
        {
            name: value.to_list() if isinstance(value, tf.RaggedTensor) else value.numpy().tolist()
            for name, value in b.items()
        }
        for b in dataset.take(count)
    ]


def test_each_epoch_visits_every_user_once_with_what_they_have(train):
    found = taken(batches(train), 3 * STEPS)
    assert [batch["step"] for batch in found] == list(range(3 * STEPS))
    orders = []
    for epoch in range(3):
        of_epoch = found[epoch * STEPS : (epoch + 1) * STEPS]
        assert [len(batch["users"]) for batch in of_epoch] == [7, 7, 7, 7, 2]
        orders.append([user for batch in of_epoch for user in batch["users"]])
        assert sorted(orders[-1]) == list(range(30))
        for batch in of_epoch:
            for row, user in enumerate(batch["users"]):
                items = set(PLANTED.train.of(user).tolist())
                assert batch["histories"][row] == PLANTED.train.of(user).tolist()
                assert set(batch["positives"][row]) <= items
                assert not set(batch["candidates"][row]) & items
    assert orders[0] != orders[1] != orders[2]


def test_the_order_is_a_function_of_seed_and_epoch_and_of_nothing_else(train):
    found = taken(batches(train), 3 * STEPS)
    assert found[:STEPS] != found[STEPS : 2 * STEPS]
    tf.random.set_seed(99)
    try:
        assert taken(batches(train, first_epoch=1), 2 * STEPS) == found[STEPS:]  # as a run resumes
    finally:
        tf.random.set_seed(None)
    assert taken(batches(train, seed=4), 1) != found[:1]


def test_visits_bring_other_lists_along(train):
    for batch in taken(visits(train, batch_size=7, seed=0, lists=("test", "liked")), STEPS):
        assert batch["test"] == [PLANTED.test.of(user).tolist() for user in batch["users"]]
        offsets, items = PLANTED.false_negatives
        assert batch["liked"] == [items[offsets[user] : offsets[user + 1]].tolist() for user in batch["users"]]


def test_negatives_for_a_whole_batch(train):
    weights = np.where(np.arange(140) % 2, 1.0, 0.0)
    for batch in taken(shared_batches(train, batch_size=7, num_negatives=50, seed=0, item_weights=weights), STEPS):
        assert len(batch["negatives"]) == 50
        assert all(item % 2 for item in batch["negatives"])


def test_with_the_held_out_items_in_training(train):
    whole = StreamedSplit(train.folder).with_all_in_training().train
    expected = PLANTED.all_interactions()
    for batch in taken(visits(whole, batch_size=7, seed=0), STEPS):
        assert batch["histories"] == [expected.of(user).tolist() for user in batch["users"]]


def test_parts_share_the_users(train):
    parts = [train.part(number, 3) for number in range(3)]
    users = [
        {
            user
            for batch in taken(visits(part, batch_size=4, seed=0), -(-part.users_read // 4))
            for user in batch["users"]
        }
        for part in parts
    ]
    assert [len(part) for part in users] == [part.users_read for part in parts]
    assert set.union(*users) == set(range(30))


def test_a_window_has_whole_batches(train, monkeypatch):
    for size in (1, 5_000, 1 << 26):
        monkeypatch.setattr(pipelines.streamed_batches, "WINDOW_BYTES", size)
        found = window_users(train, 7)
        assert found % 7 == 0
        assert found >= 7
    assert found > 30


def test_a_damaged_shard_is_told_by_name_while_batches_are_drawn(train):
    path = train.folder.path / train.shards[2].file
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(bytes(content))
    with (
        pytest.raises(InputError, match=r"users-00002-of-00004\.tfrecord: not a TFRecord file, or damaged"),
        train.reading(),
    ):
        taken(batches(train), 2 * STEPS)


def test_a_user_with_nothing_to_draw_is_told_of(train):
    weights = np.where(np.isin(np.arange(140), PLANTED.train.of(3)), 1.0, 0.0)
    with pytest.raises(InputError, match="a user has every item that may be drawn"), train.reading():
        taken(batches(train, item_weights=weights), STEPS)
