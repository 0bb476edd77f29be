"""The folder of an ingested data set: what lies where, its manifest, its vocabularies, and writing one from memory.

ingested.json                    the manifest, written last: a folder without it is unfinished
users.npz, items.npz             ids, titles and counts: what is held in memory
users-00000-of-00016.tfrecord    users' records (`pipelines.records`), numbers ascending from shard to shard
dropped-00000-of-00001.tfrecord  those of dropped users, if any
"""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipelines.atomic import made, whole, write_text
from pipelines.config import DataConfig
from pipelines.errors import InputError, shown
from pipelines.held_out import HeldOut
from pipelines.interactions import Filter
from pipelines.paths import AnyPath, RemotePath, as_path
from pipelines.raw_ids import packed, unpacked
from pipelines.readers.files import Source, reading
from pipelines.readers.npz import read_arrays
from pipelines.records import Record, Shard, shard_name, write_shard
from pipelines.split import Split

MANIFEST, USERS, ITEMS = "ingested.json", "users.npz", "items.npz"
FORMAT = 1
_WHAT, _REMEDY = "of an ingested data set", "Ingest the data again, or copy the folder again."
_USERS_A_SHARD = 65_536


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What `ingested.json` says."""

    name: str
    """`Split.name`."""
    settings: Mapping[str, object]
    """The DataConfig that made it."""
    num_users: int
    num_items: int
    num_train: int
    """Training interactions."""
    num_valid: int
    """Held-out items of validation."""
    num_test: int
    num_dropped_users: int
    leaves_one_out: bool
    """Whether each user has one validation item and one test item."""
    num_liked: int | None = None
    """Unobserved items that users would in truth like (`Split.false_negatives`); None where these are not known."""
    fingerprint: str
    """`Split.fingerprint` of the same data in memory."""
    filters: tuple[Filter, ...]
    shards: tuple[Shard, ...]
    dropped_shards: tuple[Shard, ...] = ()

    def write(self, folder: AnyPath) -> None:
        """Writes it, whole or not at all: what finishes a folder.

        Raises:
          StorageError: it cannot be written.
        """
        content = {"format": FORMAT, **dataclasses.asdict(self)}
        content["filters"] = [list(dataclasses.astuple(each)) for each in self.filters]
        write_text(folder / MANIFEST, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, folder: AnyPath) -> "Manifest":
        """Reads it; and checks that the shards are there, whole by their sizes.

        Raises:
          InputError: the folder is unfinished, of another format, damaged or truncated.
        """
        path = folder / MANIFEST
        with reading(folder):
            if not path.exists():
                problem = f"no {MANIFEST}: this is no folder {_WHAT}, or one that is not finished"
                raise InputError(
                    problem, path=folder, remedy="Set `data_dir` to a folder that was ingested to its end."
                )
        with Source(path).open() as file:
            text = file.read()
        try:
            content = json.loads(text)
            if (form := content.pop("format")) != FORMAT:
                raise ValueError(f"format {shown(form)}, and here {FORMAT} is read")
            content["filters"] = tuple(Filter(*each) for each in content["filters"])
            for name in ("shards", "dropped_shards"):
                content[name] = tuple(Shard(**each) for each in content[name])
            manifest = cls(**content)
            manifest._check()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            problem = f"not the manifest {_WHAT}, or damaged ({shown(str(error)) or type(error).__name__})"
            raise InputError(problem, path=path, remedy=_REMEDY) from None
        for shard in (*manifest.shards, *manifest.dropped_shards):
            _check_size(folder / shard.file, shard.bytes)
        return manifest

    def _check(self) -> None:
        """Raises ValueError where it contradicts itself, and TypeError where a value is of another type."""
        every = (*self.shards, *self.dropped_shards)
        counts = [getattr(self, each.name) for each in dataclasses.fields(self) if each.name.startswith("num_")]
        counts = [count for count in counts if count is not self.num_liked or count is not None]
        counts += [count for shard in every for count in (shard.users, shard.interactions, shard.bytes)]
        counts += [count for each in self.filters for count in (each.rows, each.users, each.items)]
        if not all(type(count) is int and count >= 0 for count in counts) or type(self.leaves_one_out) is not bool:
            raise TypeError("a count that is none")
        texts = [self.name, self.fingerprint, *(shard.file for shard in every), *(f.setting for f in self.filters)]
        if not all(isinstance(text, str) for text in texts) or not isinstance(self.settings, dict):
            raise TypeError("a text that is none")
        if any({"/", "\\", "\0"} & set(shard.file) or shard.file in ("", ".", "..") for shard in every):
            raise ValueError("a shard that lies elsewhere")
        sums = [sum(s.users for s in self.shards), sum(s.interactions for s in self.shards)]
        if sums != [self.num_users, self.num_train]:
            raise ValueError("shards of other users than it names")
        if sum(shard.users for shard in self.dropped_shards) != self.num_dropped_users:
            raise ValueError("shards of other dropped users than it names")
        if not 0 < self.num_items < 2**31 or not 0 < self.num_users < 2**31:
            raise ValueError("too many users or items, or none")


def _check_size(path: AnyPath, size: int) -> None:
    """Raises InputError where a file is not there or has another size."""
    with reading(path):
        if not path.exists():
            raise InputError("no such file", path=path, remedy=_REMEDY)
        if not isinstance(path, RemotePath) and (found := path.stat().st_size) != size:
            problem = f"damaged or truncated: {found:,} bytes, and {MANIFEST} tells of {size:,}"
            raise InputError(problem, path=path, remedy=_REMEDY)


@dataclass(frozen=True, kw_only=True)
class Users:
    """`users.npz`: what is held of each user."""

    ids: np.ndarray
    """[num_users] int64 or Python strings."""
    counts: np.ndarray
    """[num_users] int32: training items."""
    valid_counts: np.ndarray | None = None
    """[num_users] int32: held-out items of validation; None: one each."""
    test_counts: np.ndarray | None = None
    dropped_ids: np.ndarray | None = None
    """[num_dropped_users]; None where nobody is."""

    def write(self, folder: AnyPath) -> None:
        """Raises StorageError where it cannot be written."""
        arrays = {"counts": np.asarray(self.counts, np.int32)} | packed("user_ids", self.ids)
        for name in ("valid_counts", "test_counts"):
            if (counts := getattr(self, name)) is not None:
                arrays[name] = np.asarray(counts, np.int32)
        if self.dropped_ids is not None:
            arrays |= packed("dropped_user_ids", self.dropped_ids)
        _write(folder / USERS, arrays)

    @classmethod
    def read(cls, folder: AnyPath, manifest: Manifest) -> "Users":
        """Raises InputError where it is damaged, or of other data than the manifest."""
        with _arrays(folder / USERS) as arrays:
            users = cls(
                ids=unpacked("user_ids", arrays),
                counts=arrays["counts"],
                valid_counts=arrays.get("valid_counts"),
                test_counts=arrays.get("test_counts"),
                dropped_ids=unpacked("dropped_user_ids", arrays) if manifest.num_dropped_users else None,
            )
            one_each = manifest.leaves_one_out
            if (users.valid_counts is None or users.test_counts is None) != one_each:
                raise ValueError("held-out items that the manifest does not tell of")
            for counts in (users.counts, *(() if one_each else (users.valid_counts, users.test_counts))):
                _check_counts(counts, manifest.num_users, np.int32)
            parts = {"num_train": users.counts}
            if not one_each:
                parts |= {"num_valid": users.valid_counts, "num_test": users.test_counts}
            dropped = 0 if users.dropped_ids is None else len(users.dropped_ids)
            if len(users.ids) != manifest.num_users or dropped != manifest.num_dropped_users:
                raise ValueError("another number of ids than the manifest tells of")
            if any(counts.sum(dtype=np.int64) != getattr(manifest, name) for name, counts in parts.items()):
                raise ValueError("another number of items than the manifest tells of")
            return users


@dataclass(frozen=True, kw_only=True)
class Items:
    """`items.npz`: what is held of each item."""

    ids: np.ndarray
    """[num_items] int64 or Python strings."""
    counts: np.ndarray
    """[num_items] int64: users who have it in training."""
    titles: np.ndarray | None = None
    """[num_items] Python strings, or None."""

    def write(self, folder: AnyPath) -> None:
        """Raises StorageError where it cannot be written."""
        arrays = {"counts": np.asarray(self.counts, np.int64)} | packed("item_ids", self.ids)
        if self.titles is not None:
            arrays |= packed("titles", self.titles)
        _write(folder / ITEMS, arrays)

    @classmethod
    def read(cls, folder: AnyPath, manifest: Manifest) -> "Items":
        """Raises InputError where it is damaged, or of other data than the manifest."""
        with _arrays(folder / ITEMS) as arrays:
            titles = unpacked("titles", arrays) if {"titles", "titles_bytes"} & set(arrays) else None
            items = cls(ids=unpacked("item_ids", arrays), counts=arrays["counts"], titles=titles)
            _check_counts(items.counts, manifest.num_items, np.int64)
            if len(items.ids) != manifest.num_items or len(titles if titles is not None else items.ids) != len(
                items.ids
            ):
                raise ValueError("another number of ids or titles than the manifest tells of")
            if items.counts.sum() != manifest.num_train:
                raise ValueError("another number of items than the manifest tells of")
            return items


def _check_counts(counts: np.ndarray, number: int, dtype: type) -> None:
    if counts.shape != (number,) or counts.dtype != dtype or counts.min(initial=0) < 0:
        raise ValueError("counts that are none")


def _write(path: AnyPath, arrays: Mapping[str, np.ndarray]) -> None:
    with whole(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, **arrays)


@contextmanager
def _arrays(path: AnyPath) -> Iterator[dict[str, np.ndarray]]:
    """The arrays of a file; what is wrong with them in the block becomes an InputError that names it."""
    arrays = read_arrays(path, f"a file {_WHAT}", _REMEDY)
    try:
        yield arrays
    except Exception as error:  # arrays of other shapes and types than they should be
        problem = f"not a file {_WHAT}, or damaged ({type(error).__name__}: {shown(str(error))})"
        raise InputError(problem, path=path, remedy=_REMEDY) from None


def save_shards(split: Split, folder: AnyPath | str, config: DataConfig | None = None, num_shards: int = 0) -> None:
    """Writes a data set that is in memory as the folder of an ingested one, which is read a batch of users at a time.

    The times of the interactions are not kept.

    Args:
      split: the data set.
      folder: the folder, made if need be; `ingested.json` is written last.
      config: how the data set was made.
      num_shards: files that its users go to; 0: one for every 65,536 users.

    Raises:
      InputError: it cannot be written.
    """
    folder, train = as_path(folder), split.train
    one_each = split.leaves_one_out
    counts = {}
    if not one_each:
        for name, part in (("valid_counts", split.valid), ("test_counts", split.test)):
            counts[name] = np.diff(part.offsets_over(train.num_users))
    with made(folder):
        with reading(folder):
            (folder / MANIFEST).unlink(missing_ok=True)  # which would vouch for shards that are no more
        dropped = train.dropped
        dropped_ids = None if dropped is None else dropped.user_ids
        Users(ids=train.user_ids, counts=train.counts, dropped_ids=dropped_ids, **counts).write(folder)
        Items(ids=train.item_ids, counts=train.item_counts, titles=train.titles).write(folder)
        num_shards = min(num_shards or math.ceil(train.num_users / _USERS_A_SHARD), train.num_users)
        bounds = np.linspace(0, train.num_users, num_shards + 1).astype(int).tolist()
        shards = [
            write_shard(folder / shard_name("users", number, num_shards), records_of(split, range(start, end)))
            for number, (start, end) in enumerate(pairwise(bounds))
        ]
        of_dropped = []
        if dropped is not None:
            records = (Record(user, dropped.of(user)) for user in range(dropped.num_users))
            of_dropped.append(write_shard(folder / shard_name("dropped", 0, 1), records))
        Manifest(
            name=split.name,
            settings=dataclasses.asdict(config or DataConfig()),
            num_users=train.num_users,
            num_items=train.num_items,
            num_train=train.num_interactions,
            num_valid=len(split.valid.items),
            num_test=len(split.test.items),
            num_dropped_users=train.num_dropped_users,
            num_liked=None if split.false_negatives is None else len(split.false_negatives[1]),
            leaves_one_out=one_each,
            fingerprint=split.fingerprint,
            filters=train.filters,
            shards=tuple(shards),
            dropped_shards=tuple(of_dropped),
        ).write(folder)


def records_of(split: Split, users: range) -> Iterator[Record]:
    """The records of some users of a data set in memory."""
    for user in users:
        valid, test = (_negatives(part, user) for part in (split.valid, split.test))
        differ = valid is not None and test is not None and not np.array_equal(valid, test)
        liked = None
        if split.false_negatives is not None:
            offsets, items = split.false_negatives
            liked = items[offsets[user] : offsets[user + 1]]
        yield Record(
            user,
            split.train.of(user),
            valid=split.valid.of(user),
            test=split.test.of(user),
            negatives=valid if test is None else test,
            valid_negatives=valid if differ else None,
            liked=liked,
        )


def _negatives(part: HeldOut, user: int) -> np.ndarray | None:
    """What a user's held-out items are ranked against; None where there are no such items."""
    row, after = np.searchsorted(part.users, [user, user + 1])
    return part.negatives[row] if row < after else None
