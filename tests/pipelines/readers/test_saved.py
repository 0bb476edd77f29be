"""Data sets that were saved: bit for bit the same, and nothing but what `save` writes is read."""

import zipfile
from dataclasses import fields, replace

import numpy as np
import pytest

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.held_out import HeldOut
from pipelines.interactions import Filter, Interactions
from pipelines.load import load_dataset
from pipelines.raw_ids import text_array
from pipelines.readers import planted, saved
from pipelines.split import leave_one_out


def flat(value, prefix=""):
    """Every array and text of a split by its path."""
    if isinstance(value, tuple):
        return {key: inner for n, each in enumerate(value) for key, inner in flat(each, f"{prefix}.{n}").items()}
    if not hasattr(value, "__dataclass_fields__"):
        return {prefix: value}
    return {
        key: inner for f in fields(value) for key, inner in flat(getattr(value, f.name), f"{prefix}.{f.name}").items()
    }


def named(texts: bool):
    """A split whose ids and titles are awkward texts, or which has integer ids and neither titles nor times."""
    rng = np.random.default_rng(0)
    ids = text_array([f"{'é' * (n % 3)}{n}" for n in range(140)]) if texts else np.arange(140) * 10**15
    titles = text_array(["", "ünï", "日本", 'a "b"\n', *(f"Film {n}" for n in range(136))]) if texts else None
    interactions = Interactions(
        offsets=np.arange(0, 31, 5),
        items=np.concatenate([rng.permutation(140)[:5] for _ in range(6)]).astype(np.int32),
        user_ids=ids[:6],
        item_ids=ids,
        titles=titles,
        timestamps=rng.random(30) if texts else None,
    )
    if texts:
        dropped = Interactions(np.array([0, 2, 3]), np.array([7, 139, 7], np.int32), ids[[8, 7]], ids)
        filters = (Filter("duplicates", 9, 0, 2), Filter("min_user_items", 12, 3, 4))
        interactions = replace(interactions, dropped=dropped, filters=filters)
    split = leave_one_out("näme", interactions, 3)
    valid = split.valid.with_negatives(split.test.negatives[:, ::-1].copy())
    return replace(split, valid=valid) if texts else split


def several():
    """A split with several held-out items of some users, and none of others."""
    split = named(True)
    valid = HeldOut.of_pairs(np.array([0, 3, 3]), np.array([7, 8, 9])).with_negatives(split.test.negatives[[0, 3]])
    return replace(split, valid=valid, test=split.test.select(np.array([0, 1, 2, 4]), 6))


@pytest.mark.parametrize(
    "split", [named(True), named(False), several(), planted.generate(DataConfig(planted_users=30, planted_items=140))]
)
def test_there_and_back(split, tmp_path):
    saved.save(split, tmp_path / "a.npz")
    back = load_dataset(DataConfig(dataset="saved", data_dir=str(tmp_path / "a.npz")))
    assert back.fingerprint == split.fingerprint
    expected, found = flat(split), flat(back)
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        if isinstance(value, np.ndarray):
            assert found[key].dtype == value.dtype
            np.testing.assert_array_equal(found[key], value)
        else:
            assert found[key] == value
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_the_dropped_are_no_part_of_the_fingerprint(tmp_path):
    split = named(True)
    without = replace(split, train=replace(split.train, dropped=None, filters=()))
    assert without.fingerprint == split.fingerprint
    saved.save(without, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        assert not [name for name in archive.files if name.startswith(("dropped", "filter"))], "as files were before"
    back = saved.read(tmp_path / "a.npz").train
    assert (back.dropped, back.filters) == (None, ())


def test_files_of_former_versions_are_read(tmp_path):
    """They had an item of each user by name, and no users or offsets."""
    split = named(False)
    held_out = {"valid": split.valid.items, "test": split.test.items, "test_negatives": split.test.negatives}
    train = {name: getattr(split.train, name) for name in ("offsets", "items", "user_ids", "item_ids")}
    name = np.frombuffer("näme".encode(), np.uint8)
    np.savez(tmp_path / "a.npz", format=1, name_bytes=name, name_ends=np.array([len(name)]), **train, **held_out)
    assert saved.read(tmp_path / "a.npz").fingerprint == split.fingerprint
    saved.save(split, tmp_path / "b.npz")  # and read by them
    with np.load(tmp_path / "a.npz") as old, np.load(tmp_path / "b.npz") as new:
        assert set(old.files) == set(new.files)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"valid_users": np.array([3, 0], np.int32)}, "users of valid that there are not"),
        ({"valid_users": np.array([0, 6], np.int32)}, "users of valid that there are not"),
        ({"valid_offsets": np.array([0, 0, 3])}, "users of valid that there are not"),
        ({"valid_offsets": np.array([0, 1, 2])}, "offsets do not fit"),
        ({"test_users": np.arange(3, dtype=np.int32)}, "offsets do not fit"),
    ],
)
def test_several_held_out_that_contradict_themselves(tmp_path, changes, says):
    saved.save(several(), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        arrays = dict(archive) | changes
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=says):
        saved.read(tmp_path / "a.npz")


def test_one_long_title_does_not_make_all_long(tmp_path):
    split = named(True)
    titles = np.array(["x" * 100_000, *(f"Film {n}" for n in range(139))])
    assert titles.nbytes > 50e6
    saved.save(replace(split, train=replace(split.train, titles=titles)), tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert sum(member.file_size for member in archive.infolist()) < 200_000


@pytest.fixture
def file(tmp_path):
    saved.save(named(True), tmp_path / "a.npz")
    return tmp_path / "a.npz"


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b"user,item\n1,2\n", lambda b: b[: len(b) // 2]])
def test_damaged_file(file, damage):
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match=r"a\.npz: .*damaged"):
        saved.read(file)


def test_flipped_byte_anywhere_is_noticed(file):
    content = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        places = [member.header_offset + 60 + member.compress_size // 2 for member in archive.infolist()]
    for place in places:
        file.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
        with pytest.raises(InputError, match=r"a\.npz: .*damaged"):
            saved.read(file)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": np.array(3)}, "another format"),
        ({"format": np.array(2)}, "KeyError: 'valid_users'"),
        ({"items": np.zeros(3, np.int32)}, "offsets do not fit"),
        ({"offsets": np.array([0, 9, 3, 9, 12, 15, 18])}, "offsets do not fit"),
        ({"test": np.full(6, 140, np.int32)}, "an item that there is not"),
        ({"valid": np.full(6, -1, np.int32)}, "an item that there is not"),
        ({"valid": np.zeros(6)}, "an item that there is not"),
        ({"test": np.zeros(5, np.int32)}, "5 rows of 6 users"),
        ({"test_negatives": np.zeros((5, 100), np.int32)}, "5 rows of 6 users"),
        ({"offsets": np.arange(0, 21, 3.0)}, "offsets do not fit"),
        ({"test": np.zeros((6, 1), np.int32)}, "an array of 2 dimensions"),
        ({"test_negatives": np.zeros(6, np.int32)}, "an array of 1 dimension"),
        ({"timestamps": np.zeros(3)}, "3 timestamps of 18"),
        ({"titles_ends": np.array([3])}, "1 titles of 140"),
        ({"name_bytes": np.frombuffer(b"\xff\xff", np.uint8)}, "UnicodeDecodeError"),
        ({"user_ids": np.zeros(6)}, "TypeError"),
        ({"dropped_items": np.full(3, 140, np.int32)}, "an item that there is not"),
        ({"dropped_offsets": np.array([0, 3])}, "offsets do not fit"),
        ({"filter_counts": np.zeros((1, 3), np.int64)}, "ValueError"),
        ({"item_ids": np.array([{}], object)}, "allow_pickle=False"),
    ],
)
def test_file_that_contradicts_itself(file, changes, says):
    with np.load(file) as archive:
        arrays = dict(archive) | changes
    np.savez(file, **arrays)
    with pytest.raises(InputError, match=rf"a\.npz: not a saved data set, or damaged \(.*{says}"):
        saved.read(file)


def test_foreign_npz_and_npy(tmp_path):
    np.savez(tmp_path / "weights.npz", P=np.zeros((3, 2)))
    np.save(tmp_path / "a.npy", np.zeros(3))
    for name in ("weights.npz", "a.npy"):
        with pytest.raises(InputError, match="not a saved data set"):
            saved.read(tmp_path / name)


def test_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"b\.npz: cannot be written: No such file or directory"):
        saved.save(named(False), tmp_path / "a" / "b.npz")


@pytest.mark.parametrize("texts", [True, False])
def test_interactions_come_back_and_no_other_file_does(texts, tmp_path):
    train = named(texts).train
    saved.save_interactions(train, tmp_path / "who.npz")
    read = saved.read_interactions(tmp_path / "who.npz")
    for name in ("offsets", "items", "user_ids", "item_ids"):
        assert getattr(read, name).tolist() == getattr(train, name).tolist()
    assert read.timestamps is None
    np.savez(tmp_path / "other.npz", items=train.items)
    with pytest.raises(InputError, match="not a saved data set"):
        saved.read_interactions(tmp_path / "other.npz")
    with pytest.raises(InputError, match="not a saved data set"):
        saved.read(tmp_path / "who.npz")
