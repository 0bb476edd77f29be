"""Batches from shards: who is in them, that seed and epoch give their order, and that they begin anywhere."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from test_ingested import PLANTED

import pipelines.streamed_batches
from pipelines.errors import InputError
from pipelines.ingested import save_shards
from pipelines.records import Shard
from pipelines.shares import Share
from pipelines.streamed import StreamedInteractions, StreamedSplit
from pipelines.streamed_batches import shared_batches, user_batches, visits, window_users
from pipelines.streamed_folder import StreamedFolder

STEPS = 5  # of 30 users, 7 at a time
EMPTY = SimpleNamespace(ids=None, titles=None)


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


@pytest.mark.parametrize(
    ("sizes", "of", "starts"),
    [
        ([8, 7, 8, 7], 2, (0, 15, 30)),
        ([8, 7, 8, 7], 4, (0, 8, 15, 23, 30)),
        ([20, 5, 5], 2, (0, 20, 30)),  # 20 is nearer to 15 than nothing else
        ([20, 5, 5], 3, (0, 20, 25, 30)),
        ([1, 1, 28], 3, (0, 1, 2, 30)),  # the last shard is needed for the last replica
        ([10, 10, 10], 2, (0, 10, 30)),  # 10 and 20 are as near
        ([0, 10, 0, 20, 0], 2, (0, 10, 30)),  # nobody gets a shard without users alone
        ([3, 4, 3, 4, 3, 4, 3, 4, 2], 3, (0, 10, 21, 30)),
    ],
)
def test_a_share_is_the_users_of_shards_in_a_row(sizes, of, starts):
    train = in_shards(sizes)
    assert [train.share(number, of) for number in range(of)] == [Share(number, starts) for number in range(of)]
    files = [[shard.file for shard in train.shards_of(train.share(number, of))] for number in range(of)]
    assert [file for of_one in files for file in of_one] == [str(place) for place, users in enumerate(sizes) if users]
    assert [sum(sizes[int(file)] for file in of_one) for of_one in files] == np.diff(starts).tolist()


def in_shards(sizes):
    """Interactions of which nothing is there but how many users their shards have."""
    shards = tuple(Shard(str(place), users, interactions=users, bytes=users) for place, users in enumerate(sizes))
    manifest = SimpleNamespace(shards=shards, num_users=sum(sizes))
    folder = StreamedFolder.__new__(StreamedFolder)
    folder.path, folder.manifest, folder.users, folder.items = Path("data"), manifest, EMPTY, EMPTY
    return StreamedInteractions(folder)


@pytest.mark.parametrize("sizes", [[8, 7, 8, 7], [15, 0, 15, 0, 0]])
def test_fewer_shards_than_replicas_are_refused_with_a_way_out(sizes):
    train = in_shards(sizes)
    with pytest.raises(InputError, match=r"^data: 5 replicas .*`strategy`.* in [24] shards.* into more shards"):
        train.share(0, 5)


@pytest.mark.parametrize(
    ("shards", "replicas", "batch_size", "window_bytes"), [(4, 2, 7, 1), (5, 3, 6, 8000), (2, 2, 30, 1 << 26)]
)
def test_replicas_share_the_users_of_an_epoch(tmp_path, monkeypatch, shards, replicas, batch_size, window_bytes):
    """Their windows end within a step, after some steps, and with the epoch."""
    monkeypatch.setattr(pipelines.streamed_batches, "WINDOW_BYTES", window_bytes)
    save_shards(PLANTED, tmp_path, num_shards=shards)
    train, steps = StreamedSplit(StreamedFolder(tmp_path)).train, -(-30 // batch_size)
    visited = []
    for number in range(replicas):
        share = train.share(number, replicas)
        found = taken(visits(train, batch_size=batch_size, seed=1, share=share), 2 * steps)
        assert [batch["step"] for batch in found] == list(range(2 * steps))
        sizes = [len(batch["users"]) for batch in found]
        assert sizes[:steps] == sizes[steps:]
        assert set(sizes) <= {share.size // steps, -(-share.size // steps)}
        assert min(sizes) >= 1
        orders = [[user for batch in part for user in batch["users"]] for part in (found[:steps], found[steps:])]
        assert sorted(orders[0]) == sorted(orders[1])
        assert orders[0] != orders[1]
        visited += orders[0]
    assert sorted(visited) == list(range(30))
    again = taken(visits(train, batch_size=batch_size, seed=1, share=share, first_epoch=1), steps)
    assert again == found[steps:]  # as a run resumes


def test_replicas_draw_for_themselves(train):
    found = [taken(batches(train, share=train.share(number, 2)), STEPS) for number in range(2)]
    for number, of_replica in enumerate(found):
        for batch in of_replica:
            for row, user in enumerate(batch["users"]):
                items = set(PLANTED.train.of(user).tolist())
                assert (user >= 15) == number
                assert set(batch["positives"][row]) <= items
                assert not set(batch["candidates"][row]) & items
    one, other = (batches_of[0]["candidates"] for batches_of in found)
    assert one != other


def test_negatives_for_a_whole_batch_are_those_of_all_replicas(train):
    options = {"batch_size": 7, "num_negatives": 50, "seed": 0}
    alone, *shared = (
        taken(shared_batches(train, share=share, **options), 2 * STEPS)
        for share in (None, train.share(0, 2), train.share(1, 2))
    )
    for of_replica in shared:
        assert [batch["negatives"] for batch in of_replica] == [batch["negatives"] for batch in alone]


def test_a_window_has_whole_batches(train, monkeypatch):
    for size in (1, 5_000, 1 << 26):
        monkeypatch.setattr(pipelines.streamed_batches, "WINDOW_BYTES", size)
        found = window_users(train.folder.manifest.shards, 7)
        assert found % 7 == 0
        assert found >= 7
    assert found > 30


def test_a_damaged_shard_is_told_by_name_while_batches_are_drawn(train):
    path = train.folder.path / train.folder.manifest.shards[2].file
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
