"""The folder of an ingested data set: its manifest and vocabularies come back, and damage is told by name."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.held_out import HeldOut
from pipelines.ingested import MANIFEST, Items, Manifest, Users, save_shards
from pipelines.interactions import Filter, Interactions
from pipelines.raw_ids import text_array
from pipelines.readers import planted
from pipelines.records import parse_arrays, read_shard
from pipelines.split import leave_one_out

CONFIG = DataConfig(planted_users=30, planted_items=140)
PLANTED = planted.generate(CONFIG)


def with_texts():
    """A split whose ids are texts, with dropped users, filters, and several held-out items of some users."""
    rng = np.random.default_rng(0)
    ids = text_array([f"{'é' * (n % 3)}{n}" for n in range(140)])
    items = np.concatenate([rng.permutation(140)[:5] for _ in range(6)]).astype(np.int32)
    interactions = Interactions(np.arange(0, 31, 5), items, ids[:6], ids)
    dropped = Interactions(np.array([0, 2, 3]), np.array([7, 139, 7], np.int32), ids[[8, 7]], ids)
    filters = (Filter("duplicates", 9, 0, 2), Filter("min_user_items", 12, 3, 4))
    split = leave_one_out("näme", replace(interactions, dropped=dropped, filters=filters), 3)
    valid = HeldOut.of_pairs(np.array([0, 3, 3]), np.array([7, 8, 9])).with_negatives(
        split.test.negatives[[0, 3], ::-1]
    )
    return replace(split, valid=valid, test=split.test.select(np.array([0, 1, 2, 4]), 6))


def test_a_data_set_in_memory_is_written_as_a_folder(tmp_path):
    save_shards(PLANTED, tmp_path / "new", CONFIG, num_shards=4)
    manifest = Manifest.read(tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        *("ingested.json", "users.npz", "items.npz"),
        *(f"users-{n:05d}-of-00004.tfrecord" for n in range(4)),
    }
    assert DataConfig(**manifest.settings) == CONFIG
    assert manifest.fingerprint == PLANTED.fingerprint
    assert manifest.leaves_one_out
    assert PLANTED.statistics() == {
        "#User": manifest.num_users,
        "#Item": manifest.num_items,
        "#Train": manifest.num_train,
        "#Valid": manifest.num_valid,
        "#Test": manifest.num_test,
    }
    users, items = Users.read(tmp_path / "new", manifest), Items.read(tmp_path / "new", manifest)
    np.testing.assert_array_equal(users.counts, PLANTED.train.counts)
    np.testing.assert_array_equal(items.counts, PLANTED.train.item_counts)
    assert items.titles.tolist() == PLANTED.train.titles.tolist()
    seen = 0
    for shard in manifest.shards:
        (block,) = read_shard(tmp_path / "new" / shard.file)
        numbers, rows = parse_arrays(block)
        assert numbers.tolist() == list(range(seen, seen + shard.users))
        for row, user in enumerate(numbers):
            for name, part in (("valid", PLANTED.valid), ("test", PLANTED.test), ("items", PLANTED.train)):
                found = rows[name].values[rows[name].offsets[row] : rows[name].offsets[row + 1]]
                assert found.tolist() == part.of(user).tolist()
            assert rows["negatives"].values[100 * row :][:100].tolist() == PLANTED.test.negatives[user].tolist()
            liked = PLANTED.false_negatives[1][slice(*PLANTED.false_negatives[0][user : user + 2])]
            assert rows["liked"].values[slice(*rows["liked"].offsets[row : row + 2])].tolist() == liked.tolist()
        assert not len(rows["valid_negatives"].values)
        seen += shard.users
    assert seen == PLANTED.train.num_users


def test_texts_dropped_users_and_several_held_out_items(tmp_path):
    split = with_texts()
    save_shards(split, tmp_path)
    manifest = Manifest.read(tmp_path)
    assert not manifest.leaves_one_out
    assert manifest.filters == split.train.filters
    assert manifest.num_liked is None
    users, items = Users.read(tmp_path, manifest), Items.read(tmp_path, manifest)
    assert users.ids.tolist() == split.train.user_ids.tolist()
    assert items.ids.tolist() == split.train.item_ids.tolist()
    assert users.dropped_ids.tolist() == ["éé8", "é7"]
    assert users.valid_counts.tolist() == [1, 0, 0, 2, 0, 0]
    assert users.test_counts.tolist() == [1, 1, 1, 1, 0, 0]
    (block,) = read_shard(tmp_path / manifest.dropped_shards[0].file)
    numbers, rows = parse_arrays(block)
    assert numbers.tolist() == [0, 1]
    assert rows["items"].values.tolist() == [7, 139, 7]
    (block,) = read_shard(tmp_path / manifest.shards[0].file)
    rows = parse_arrays(block)[1]
    assert rows["negatives"].counts.tolist() == [100, 100, 100, 100, 0, 0]
    assert rows["valid_negatives"].counts.tolist() == [100, 0, 0, 100, 0, 0]
    np.testing.assert_array_equal(rows["valid_negatives"].values, split.valid.negatives.reshape(-1))


def changed(**values):
    def change(folder):
        content = json.loads((folder / MANIFEST).read_text())
        (folder / MANIFEST).write_text(json.dumps(content | values))

    return change


def cut(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-9])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), "no ingested.json: this is no folder of an ingested data set"),
        (cut(MANIFEST), "ingested.json: not the manifest"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), "ingested.json: not the manifest"),
        (changed(format=2), "format 2, and here 1 is read"),
        (changed(num_users="30"), "a count that is none"),
        (changed(num_users=31), "shards of other users"),
        (changed(shards=[]), "shards of other users"),
        (cut("users-00001-of-00002.tfrecord"), r"users-00001-of-00002.tfrecord: damaged or truncated: .* bytes"),
        (lambda folder: (folder / "users-00000-of-00002.tfrecord").unlink(), "users-00000-of-00002.tfrecord: no such"),
    ],
)
def test_a_damaged_folder_is_refused_by_name(tmp_path, damage, message):
    save_shards(PLANTED, tmp_path, num_shards=2)
    damage(tmp_path)
    with pytest.raises(InputError, match=message):
        Manifest.read(tmp_path)


def test_vocabularies_of_other_data_are_refused_by_name(tmp_path):
    save_shards(PLANTED, tmp_path)
    manifest = Manifest.read(tmp_path)
    Users(ids=np.arange(3), counts=np.ones(3)).write(tmp_path)
    cut("items.npz")(tmp_path)
    with pytest.raises(InputError, match=r"users\.npz: not a file of an ingested data set"):
        Users.read(tmp_path, manifest)
    with pytest.raises(InputError, match=r"items\.npz: not a file of an ingested data set"):
        Items.read(tmp_path, manifest)


def test_a_folder_without_its_manifest_is_unfinished_while_it_is_rewritten(tmp_path, monkeypatch):
    save_shards(PLANTED, tmp_path)

    def full(*_):
        raise RuntimeError("broken off")

    monkeypatch.setattr("pipelines.ingested.write_shard", full)
    with pytest.raises(RuntimeError, match="broken off"):
        save_shards(PLANTED, tmp_path)
    assert not (tmp_path / MANIFEST).exists()
