"""Users' records, against TensorFlow's own protocol buffer and against the arrays that they come from."""

import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import InputError
from pipelines.records import Record, parse, parse_arrays, read_shard, shard_name, write_shard

RECORDS = [
    Record(7, np.array([3, 1, 2**31 - 1], np.int32), np.array([5]), np.array([6]), np.arange(100), np.arange(100) + 1),
    Record(8, np.array([9], np.int32)),
    Record(9, np.array([4, 2], np.int32), test=np.array([1, 0]), negatives=np.arange(100) * 3, liked=np.array([8])),
]


def test_a_record_is_an_example_of_int64_lists():
    features = tf.train.Example.FromString(RECORDS[0].encode()).features.feature
    assert {name: list(feature.int64_list.value) for name, feature in features.items()} == {
        "user": [7],
        "items": [3, 1, 2**31 - 1],
        "valid": [5],
        "test": [6],
        "negatives": list(range(100)),
        "valid_negatives": list(range(1, 101)),
    }
    assert set(tf.train.Example.FromString(RECORDS[1].encode()).features.feature) == {"user", "items"}


def test_records_come_back_as_rows():
    users, rows = parse_arrays([record.encode() for record in RECORDS])
    assert users.tolist() == [7, 8, 9]
    assert users.dtype == np.int32
    for name, part in rows.items():
        expected = [getattr(record, name) for record in RECORDS]
        expected = [[] if each is None else list(each) for each in expected]
        found = [part.values[a:b].tolist() for a, b in zip(part.offsets[:-1], part.offsets[1:], strict=True)]
        assert found == expected
        assert part.counts.tolist() == list(map(len, expected))
        assert part.values.dtype == np.int32
        assert part.offsets.dtype == np.int64


def test_a_batch_is_parsed_within_a_graph():
    dataset = tf.data.Dataset.from_tensor_slices([record.encode() for record in RECORDS]).batch(3)
    batch = next(iter(dataset.map(lambda serialized: parse(serialized, ["items"]))))
    assert set(batch) == {"users", "items"}
    assert batch["users"].numpy().tolist() == [7, 8, 9]
    assert batch["items"].to_list() == [list(record.items) for record in RECORDS]


def test_a_shard_is_written_and_read_in_blocks(tmp_path):
    path = tmp_path / shard_name("users", 3, 16)
    shard = write_shard(path, iter(RECORDS))
    assert path.name == "users-00003-of-00016.tfrecord"
    assert (shard.file, shard.users, shard.interactions) == (path.name, 3, 6)
    assert shard.bytes == path.stat().st_size
    blocks = list(read_shard(path, at_once=2))
    assert [len(block) for block in blocks] == [2, 1]
    assert [*blocks[0], *blocks[1]] == [record.encode() for record in RECORDS]


def test_what_fails_leaves_no_shard(tmp_path):
    def records():
        yield RECORDS[0]
        raise RuntimeError("the source broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        write_shard(tmp_path / "users.tfrecord", records())
    assert not list(tmp_path.iterdir())


def damaged(content: bytes) -> bytes:
    return content[:60] + bytes([content[60] ^ 1]) + content[61:]


@pytest.mark.parametrize("damage", [damaged, lambda content: content[:-5], lambda content: b"PK\3\4" + content])
def test_damaged_and_truncated_shards_are_refused_by_name(tmp_path, damage):
    path = tmp_path / "users-00000-of-00001.tfrecord"
    write_shard(path, RECORDS)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"users-00000-of-00001\.tfrecord: not a TFRecord file, or damaged"):
        list(read_shard(path))
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        list(read_shard(path))


@pytest.mark.parametrize("foreign", [b"not an example", tf.train.Example().SerializeToString()])
def test_other_records_are_refused_by_name(foreign):
    with pytest.raises(InputError, match=r"x\.tfrecord: records that are not those"):
        parse_arrays([foreign], "x.tfrecord")
