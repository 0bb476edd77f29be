"""The folder of a data set that is read from its shards, a block of users at a time; every record is checked."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from pipelines.errors import InputError
from pipelines.ingested import USERS, Items, Manifest, Users
from pipelines.interactions import Interactions
from pipelines.paths import AnyPath
from pipelines.records import Rows, Shard, parse_arrays, read_shard
from pipelines.split import NUM_EVALUATION_NEGATIVES

USERS_AT_ONCE = 8192
"""Users of a block."""
TRAIN = ("items",)
"""The lists of the records that training sees unless told otherwise."""
DAMAGED = "Ingest the data again, or copy the folder again."
"""What to do about a folder whose files are not those that its manifest tells of."""


class StreamedFolder:
    """The folder of an ingested data set, open: its manifest and vocabularies are read, its shards are read by and by.

    Raises:
      InputError: the folder is unfinished, damaged or truncated, or of another format.
    """

    def __init__(self, path: AnyPath) -> None:
        self.path, self.manifest = path, Manifest.read(path)
        self.users, self.items = Users.read(path, self.manifest), Items.read(path, self.manifest)

    def blocks(
        self, lists: Sequence[str], shards: Sequence[Shard] | None = None, at_once: int = USERS_AT_ONCE
    ) -> Iterator[tuple[int, Mapping[str, Rows]]]:
        """The users of some shards, or of all, in their order, so many at a time.

        Args:
          lists: which lists of the records to read.
          shards: which; None: all, in which case the numbers of the users are those of the manifest.
          at_once: users a block.

        Yields:
          The number of the first user, and the lists.

        Raises:
          InputError: a shard is damaged, truncated or not of this data set; it is named.
        """
        first = dict(zip(self.manifest.shards, self.firsts, strict=True))
        for shard in self.manifest.shards if shards is None else shards:
            path, expected = self.path / shard.file, first[shard]
            for serialized in read_shard(path, at_once):
                users, rows = parse_arrays(serialized, path, lists)
                self._check(path, users, expected, rows)
                yield expected, rows
                expected += len(users)
            if expected != first[shard] + shard.users:
                raise _foreign(path, f"{expected - first[shard]:,} users, and the manifest tells of {shard.users:,}")

    def select(self, lists: Sequence[str], users: np.ndarray) -> Mapping[str, Rows]:
        """The lists of some users [n], ascending; the shards that have none of them are not read.

        Raises:
          InputError: as `blocks`.
        """
        found = []
        for shard, first in zip(self.manifest.shards, self.firsts, strict=True):
            wanted = users[np.searchsorted(users, first) : np.searchsorted(users, first + shard.users)] - first
            path, start, records = self.path / shard.file, 0, []
            for serialized in read_shard(path) if len(wanted) else ():
                here = wanted[np.searchsorted(wanted, start) : np.searchsorted(wanted, start + len(serialized))]
                records += [serialized[place] for place in (here - start).tolist()]
                start += len(serialized)
            for at in range(0, len(records), USERS_AT_ONCE):
                numbers, rows = parse_arrays(records[at : at + USERS_AT_ONCE], path, lists)
                self._check(path, numbers, first + wanted[at : at + USERS_AT_ONCE], rows)
                found.append(rows)
            if len(records) != len(wanted):
                raise _foreign(path, f"fewer users than the {shard.users:,} that the manifest tells of")
        return {name: joined([rows[name] for rows in found]) for name in lists}

    @property
    def firsts(self) -> list[int]:
        """The number of each shard's first user."""
        return np.cumsum([0, *(shard.users for shard in self.manifest.shards)])[:-1].tolist()

    def _check(self, path: AnyPath, users: np.ndarray, expected: int | np.ndarray, rows: Mapping[str, Rows]) -> None:
        """Raises InputError where records are not those of these users, or have items that there are not."""
        expected = np.arange(expected, expected + len(users)) if np.isscalar(expected) else expected
        if not np.array_equal(users, expected):
            raise _foreign(path, f"user {users[0]} where {expected[0]} should be")
        for name, part in rows.items():
            if part.values.size and not 0 <= part.values.min() <= part.values.max() < self.manifest.num_items:
                raise _foreign(path, f"an item in {name!r} that there is not")
        if "items" in rows and not np.array_equal(rows["items"].counts, self.users.counts[users]):
            raise _foreign(path, f"users with other numbers of items than {USERS} tells of")
        for name, counts in (("valid", self.users.valid_counts), ("test", self.users.test_counts)):
            if name in rows and (rows[name].counts != (1 if counts is None else counts[users])).any():
                raise _foreign(path, f"users with other numbers of {name} items than {USERS} tells of")
        if "negatives" in rows:
            evaluated = (rows["valid"].counts > 0) | (rows["test"].counts > 0)
            drawn, of_valid = rows["negatives"].counts, rows["valid_negatives"].counts
            right = (drawn == NUM_EVALUATION_NEGATIVES * evaluated) & ((of_valid == 0) | (of_valid == drawn))
            if not right.all():
                raise _foreign(path, f"users without {NUM_EVALUATION_NEGATIVES} evaluation negatives")

    @cached_property
    def held_out_counts(self) -> tuple[np.ndarray, np.ndarray]:
        """[num_items] int64 each: how often each item is held out for validation, and for test. Reads all shards."""
        counts = np.zeros((2, self.manifest.num_items), np.int64)
        for _, rows in self.blocks(("valid", "test")):
            for total, name in zip(counts, ("valid", "test"), strict=True):
                total += np.bincount(rows[name].values, minlength=len(total))
        return counts[0], counts[1]

    @cached_property
    def dropped(self) -> Interactions | None:
        """The dropped users, who have few items each: these are held. None where there are none."""
        if not self.manifest.num_dropped_users:
            return None
        found = []
        for shard in self.manifest.dropped_shards:
            path = self.path / shard.file
            found += [parse_arrays(serialized, path, TRAIN)[1]["items"] for serialized in read_shard(path)]
        rows = joined(found)
        if len(rows.counts) != self.manifest.num_dropped_users:
            raise _foreign(self.path, "another number of dropped users than the manifest tells of")
        return Interactions(rows.offsets, rows.values, self.users.dropped_ids, self.items.ids)


def _foreign(path: AnyPath, problem: str) -> InputError:
    return InputError(f"not a shard of this data set, or damaged: {problem}", path=path, remedy=DAMAGED)


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of several blocks, one after the other."""
    counts = np.concatenate([np.zeros(0, np.int64), *(part.counts for part in parts)])
    values = np.concatenate([np.zeros(0, np.int32), *(part.values for part in parts)])
    return Rows(np.concatenate([[0], np.cumsum(counts)]), values)
