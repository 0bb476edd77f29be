"""Data that is read from its shards: id for id what is in memory, and damage is told by name."""

from dataclasses import fields, replace

import numpy as np
import pytest
from test_ingested import CONFIG, PLANTED, with_texts

from pipelines.config import DataConfig
from pipelines.dataset import Dataset, with_source
from pipelines.errors import InputError
from pipelines.infer import infer
from pipelines.ingested import Manifest, records_of, save_shards
from pipelines.load import format_statistics, load_dataset
from pipelines.records import write_shard
from pipelines.sample import sampled
from pipelines.split import Split
from pipelines.streamed import StreamedSplit
from pipelines.streamed_folder import StreamedFolder


def flat(value, prefix=""):
    """Every array and text of a split by its path."""
    if isinstance(value, tuple):
        return {key: inner for n, each in enumerate(value) for key, inner in flat(each, f"{prefix}.{n}").items()}
    if not hasattr(value, "__dataclass_fields__"):
        return {prefix: value}
    return {
        key: inner for f in fields(value) for key, inner in flat(getattr(value, f.name), f"{prefix}.{f.name}").items()
    }


def check_same(found, expected):
    found, expected = flat(found), flat(expected)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, np.ndarray):
            assert found[name].dtype.kind == value.dtype.kind, name
            np.testing.assert_array_equal(found[name], value, err_msg=name)
        else:
            assert found[name] == value, name


def timeless(split):
    return replace(split, train=replace(split.train, timestamps=None))


SPLITS = {"planted": PLANTED, "texts": with_texts()}


@pytest.fixture(params=SPLITS)
def both(request, tmp_path):
    split = SPLITS[request.param]
    save_shards(split, tmp_path, num_shards=4)
    return split, StreamedSplit(StreamedFolder(tmp_path))


def test_in_memory_it_is_what_was_written(both):
    split, streamed = both
    check_same(streamed.in_memory(), timeless(split))


def test_what_is_held_is_that_of_the_data_in_memory(both):
    split, streamed = both
    for name in ("name", "fingerprint", "leaves_one_out", "several", "cold_held_out"):
        assert getattr(streamed, name) == getattr(split, name)
    assert streamed.statistics() == split.statistics()
    assert format_statistics(streamed) == format_statistics(split)
    for found, expected in ((streamed.train, split.train), (streamed.all_interactions(), split.all_interactions())):
        for name in ("num_users", "num_items", "num_interactions", "num_dropped_users", "filters"):
            assert getattr(found, name) == getattr(expected, name)
        for name in ("counts", "item_counts", "user_ids", "item_ids"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        without = replace(expected, timestamps=None, filters=())
        check_same(found.with_dropped(), without.with_dropped())
    for name in ("valid", "test"):
        np.testing.assert_array_equal(getattr(streamed, name).users, getattr(split, name).users)
        np.testing.assert_array_equal(getattr(streamed, name).counts, getattr(split, name).counts)


def test_blocks_are_those_of_the_users_in_their_order(both):
    split, streamed = both
    start = 0
    for block in streamed.blocks():
        assert block.users.start == start
        start = block.users.stop
        users = np.arange(split.train.num_users)[block.users]
        expected = timeless(split.select(users))
        filters = expected.train.filters if block.split.train.filters else ()
        train = replace(expected.train, titles=None, filters=filters)
        check_same(block.split, replace(expected, train=train, false_negatives=None))
    assert start == split.train.num_users


def test_some_users_are_selected_in_the_given_order(both):
    split, streamed = both
    users = np.array([5, 0, 3])
    for found, expected in (
        (streamed.select(users), split.select(users)),
        (streamed.with_all_in_training().select(users), split.with_all_in_training().select(users)),
    ):
        np.testing.assert_array_equal(found.train.items, expected.train.items)
        np.testing.assert_array_equal(found.train.offsets, expected.train.offsets)
        check_same((found.valid, found.test), (expected.valid, expected.test))
    assert streamed.train.of(3).tolist() == split.train.of(3).tolist()


def test_rows_of_a_split_are_selected_by_definition():
    users = np.array([7, 2, 29])
    found = PLANTED.select(users)
    for row, user in enumerate(users):
        for part in ("train", "valid", "test"):
            assert getattr(found, part).of(row).tolist() == getattr(PLANTED, part).of(user).tolist()
        assert found.test.negatives[row].tolist() == PLANTED.test.negatives[user].tolist()
        liked = [
            split.false_negatives[1][slice(*split.false_negatives[0][at : at + 2])]
            for split, at in ((found, row), (PLANTED, user))
        ]
        assert liked[0].tolist() == liked[1].tolist()


@pytest.mark.parametrize("name", ["items", "offsets", "users"])
def test_what_needs_all_interactions_is_refused_with_a_way_out(both, name):
    _, streamed = both
    with pytest.raises(InputError, match=rf"`{name}` of the interactions needs all .*`in_memory\(\)`"):
        getattr(streamed.train, name)
    with pytest.raises(InputError, match="of what is held out needs all"):
        _ = streamed.valid.items


def test_the_folder_is_told_by_itself(tmp_path):
    data = with_source(PLANTED, CONFIG)
    data.save_shards(tmp_path / "clicks", num_shards=2)
    assert infer(DataConfig(data_dir=str(tmp_path / "clicks"))).dataset == "ingested"
    for streamed in (Dataset.load(tmp_path / "clicks"), Dataset.load("ingested", tmp_path / "clicks")):
        assert "30 users" in repr(streamed)
        assert (streamed.source.dataset, streamed.source.data_dir) == ("ingested", str(tmp_path / "clicks"))
    with pytest.raises(InputError, match=r"no ingested\.json"):
        load_dataset(DataConfig(dataset="ingested", data_dir=str(tmp_path)))


def test_a_sample_is_of_these_users_and_the_same_however_the_data_is_read(both):
    split, streamed = both
    in_memory, found = sampled(split, 3, seed=5), sampled(streamed, 3, seed=5)
    assert in_memory.users.tolist() == found.users.tolist()
    assert len(found.users) == 3
    assert (np.diff(found.users) > 0).all()
    assert found.valid.users.tolist() == [user for user in found.users if user in split.valid.users]
    assert sampled(split, 0, 5) is split
    assert sampled(split, 1000, 5) is split
    others = {tuple(sampled(split, 3, seed).users) for seed in range(20)}
    assert len(others) > 3


def rewritten(change):
    """A change of the records of the second shard, which the manifest takes for right by its size."""

    def damage(folder):
        manifest = Manifest.read(folder)
        shard = manifest.shards[1]
        first = manifest.shards[0].users
        records = list(map(change, records_of(PLANTED, range(first, first + shard.users))))
        written = write_shard(folder / shard.file, [record for record in records if record])
        shards = (manifest.shards[0], replace(shard, bytes=written.bytes), *manifest.shards[2:])
        replace(manifest, shards=shards).write(folder)

    return damage


def flipped(folder):
    path = folder / "users-00001-of-00003.tfrecord"
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flipped, "not a TFRecord file, or damaged"),
        (rewritten(lambda r: replace(r, user=r.user + 1)), "user 11 where 10 should be"),
        (rewritten(lambda r: replace(r, items=r.items[:-1])), "other numbers of items than users.npz tells of"),
        (rewritten(lambda r: replace(r, valid=None)), "other numbers of valid items"),
        (rewritten(lambda r: replace(r, negatives=r.negatives[1:])), "users without 100 evaluation negatives"),
        (rewritten(lambda r: replace(r, items=r.items + 140)), "an item in 'items' that there is not"),
        (rewritten(lambda r: r if r.user < 19 else None), "9 users, and the manifest tells of 10"),
    ],
)
def test_a_damaged_or_foreign_shard_is_refused_by_name(tmp_path, damage, message):
    save_shards(PLANTED, tmp_path, num_shards=3)
    damage(tmp_path)
    streamed = StreamedSplit(StreamedFolder(tmp_path))
    with pytest.raises(InputError, match=f"users-00001-of-00003.tfrecord: .*{message}"):
        list(streamed.blocks())


def test_other_records_than_the_fingerprint_tells_of_are_refused(tmp_path):
    save_shards(PLANTED, tmp_path, num_shards=3)
    manifest = Manifest.read(tmp_path)
    replace(manifest, fingerprint="0" * 16).write(tmp_path)
    with pytest.raises(InputError, match=f"fingerprint {PLANTED.fingerprint}, and the manifest tells of 0000"):
        StreamedSplit(StreamedFolder(tmp_path)).in_memory()


def test_an_ordinary_split_is_one_block():
    (block,) = PLANTED.blocks()
    assert isinstance(block.split, Split)
    assert block.split is PLANTED
