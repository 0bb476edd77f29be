"""A data set that is read from its folder a block of users at a time: never are all interactions in memory.

What there is of each user and each item is held: ids, titles, counts. What there is of each interaction lies in the
shards (`pipelines.ingested`), for `StreamedSplit.blocks` and `pipelines.streamed_batches` to read. Code that takes a
`Split` takes a `StreamedSplit` if it asks for no more than these; whatever asks for all interactions is told so.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import tensorflow as tf

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.held_out import HeldOut
from pipelines.interactions import Filter, Interactions
from pipelines.records import Rows, Shard
from pipelines.shares import Share, whole
from pipelines.split import NUM_EVALUATION_NEGATIVES, Block, Split
from pipelines.streamed_folder import DAMAGED, TRAIN, StreamedFolder, joined

_ALL = (*TRAIN, "valid", "test")
_HELD_OUT = ("valid", "test", "negatives", "valid_negatives")
NOTHING_TO_DRAW = "a user has every item that may be drawn"
"""What the graph of `pipelines.ragged_draws` says."""
_IN_MEMORY = "Where they fit into memory, `in_memory()` of the streamed data set reads them all (from Python)."


class _NotHeld:
    """An attribute that is made of all interactions: whoever asks for it is told that these are not in memory."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __get__(self, instance: object, owner: type) -> "_NotHeld":
        if instance is None:
            return self
        raise needs_all(self._what)


def needs_all(what: str) -> InputError:
    """The error for what cannot be had of a data set that is read from its shards.

    Args:
      what: what needs all interactions, such as "`warm_start`".
    """
    problem = f"{what} needs all interactions in memory at once, and this data set is read a block of users at a time"
    return InputError(problem, remedy=_IN_MEMORY)


class StreamedInteractions:
    """Users' observed items, in the shards of a folder; what there is of each user and each item is in memory.

    It has the fields of `pipelines.interactions.Interactions` but those that are of each interaction: to ask for these
    raises InputError.
    """

    items, offsets, users = (_NotHeld(f"`{name}` of the interactions") for name in ("items", "offsets", "users"))
    timestamps = None

    def __init__(self, folder: StreamedFolder, lists: Sequence[str] = TRAIN) -> None:
        """Args:
        folder: where they lie.
        lists: the lists of the records that are meant, in this order: "items", or held-out items besides.
        """
        self.folder, self.lists = folder, tuple(lists)
        self.user_ids, self.item_ids, self.titles = folder.users.ids, folder.items.ids, folder.items.titles

    @property
    def num_users(self) -> int:
        return self.folder.manifest.num_users

    @property
    def num_items(self) -> int:
        return self.folder.manifest.num_items

    @property
    def num_interactions(self) -> int:
        return int(self.counts.sum())

    @cached_property
    def counts(self) -> np.ndarray:
        """[num_users] int64: how many items each user has."""
        users = self.folder.users
        counts = users.counts.astype(np.int64)
        for name, of_part in (("valid", users.valid_counts), ("test", users.test_counts)):
            if name in self.lists:
                counts = counts + (1 if of_part is None else of_part)
        return counts

    @cached_property
    def item_counts(self) -> np.ndarray:
        """[num_items] int64: how many users have each item. With held-out items it takes a pass over the shards."""
        counts = self.folder.items.counts
        for name, place in (("valid", 0), ("test", 1)):
            if name in self.lists:
                counts = counts + self.folder.held_out_counts[place]
        return counts

    @property
    def filters(self) -> tuple[Filter, ...]:
        return self.folder.manifest.filters

    @property
    def dropped(self) -> Interactions | None:
        """The users whom the filters dropped; these are held in memory."""
        return self.folder.dropped

    @property
    def num_dropped_users(self) -> int:
        return self.folder.manifest.num_dropped_users

    def share(self, number: int, of: int) -> Share:
        """The users of one of several replicas that train together: those of shards in a row, which no other reads.

        A share ends where that shard ends which ends nearest to where it would if all were alike.

        Raises:
          InputError: there are fewer shards than replicas.
        """
        if of == 1:
            return whole(self.num_users)
        ends = np.unique([first for first in self.folder.firsts if 0 < first < self.num_users])
        if len(ends) < of - 1:  # ends of all shards that have users, but for the last
            problem = f"{of} replicas train together (`strategy`), and the users are in {len(ends) + 1} shards"
            remedy = f"Ingest it into more shards (pipelines.ingest, --shards), best several times {of}; or take fewer."
            raise InputError(problem, path=self.folder.path, remedy=remedy)
        starts, at = [0], 0
        for replica in range(1, of):
            left = ends[at : len(ends) - (of - 1 - replica)]  # each of the others is to have a shard too
            at += int(np.argmin(np.abs(left * of - replica * self.num_users))) + 1
            starts.append(int(ends[at - 1]))
        return Share(number, (*starts, self.num_users))

    def shards_of(self, share: Share) -> list[Shard]:
        """The shards that hold the users of a replica, by `share`."""
        end = share.first + share.size
        firsts = zip(self.folder.manifest.shards, self.folder.firsts, strict=True)
        return [shard for shard, first in firsts if shard.users and share.first <= first < end]

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Makes InputErrors of what TensorFlow says of the shards while `pipelines.streamed_batches` reads them.

        It does not say which of them it could not read: they are looked through.
        """
        try:
            yield
        except tf.errors.OpError as error:
            if NOTHING_TO_DRAW in str(error):
                remedy = "Drop such users: there is nothing to tell apart."
                raise InputError(NOTHING_TO_DRAW, path=self.folder.path, remedy=remedy) from None
            for _ in self.folder.blocks(self.lists):
                pass
            raise

    def blocks(self) -> Iterator[Interactions]:
        """All users in their order, so many at a time.

        Raises:
          InputError: a shard is damaged; it is named.
        """
        for first, rows in self.folder.blocks(self.lists):
            yield _interactions(self.folder, slice(first, first + len(rows["items"].counts)), rows, self.lists)

    def select(self, users: np.ndarray) -> Interactions:
        """The rows of some users, in the given order; the catalogue stays whole."""
        different, place = np.unique(users, return_inverse=True)
        rows = self.folder.select(self.lists, different)
        return _interactions(self.folder, different, rows, self.lists).select(place)

    def of(self, user: int) -> np.ndarray:
        """The item numbers of one user, read from its shard."""
        return self.select(np.array([user])).items

    def with_dropped(self) -> Interactions:
        """All users, and after them those who are dropped, in memory: 4 bytes an interaction, filled block by block."""
        offsets = np.concatenate([[0], np.cumsum(self.counts)])
        items, start = np.empty(offsets[-1], np.int32), 0
        for block in self.blocks():
            items[start : start + block.num_interactions] = block.items
            start += block.num_interactions
        held = Interactions(offsets, items, self.user_ids, self.item_ids, titles=self.titles, dropped=self.dropped)
        return held.with_dropped()


def _interactions(
    folder: StreamedFolder, users: slice | np.ndarray, rows: Mapping[str, Rows], lists: Sequence[str]
) -> Interactions:
    """Those of some users: of each, one list after the other."""
    parts = [rows[name] for name in lists]
    if len(parts) == 1:
        offsets, items = parts[0].offsets, parts[0].values
    else:
        counts = np.stack([part.counts for part in parts], axis=1)
        offsets = np.concatenate([[0], np.cumsum(counts.sum(axis=1))])
        starts = offsets[:-1, None] + np.cumsum(counts, axis=1) - counts
        items = np.empty(offsets[-1], np.int32)
        for place, part in enumerate(parts):
            at = np.repeat(starts[:, place] - part.offsets[:-1], part.counts) + np.arange(len(part.values))
            items[at] = part.values
    return Interactions(offsets, items, folder.users.ids[users], folder.items.ids)


@dataclass(frozen=True)
class StreamedHeldOut:
    """Of whom how much is held out; what, `StreamedSplit.blocks` reads."""

    users: np.ndarray
    """[num_rows] int32, ascending: the users of whom anything is held out."""
    counts: np.ndarray
    """[num_rows] int64: how many items of each of them."""
    items, offsets, negatives, pairs = (
        _NotHeld(f"`{name}` of what is held out") for name in ("items", "offsets", "negatives", "pairs")
    )

    @property
    def several(self) -> bool:
        """Whether more than one item of any user is held out."""
        return bool((self.counts > 1).any())


class StreamedSplit:
    """A split data set of which training and evaluation read a block of users at a time.

    It has the fields of `pipelines.split.Split` but those that are of each interaction: to ask for these raises
    InputError. `in_memory` gives an ordinary one.

    Example:
      data = Dataset.load("ingested", "clicks/")
      data.in_memory().save("clicks.npz")
    """

    def __init__(
        self, folder: StreamedFolder, source: DataConfig | None = None, train: StreamedInteractions | None = None
    ) -> None:
        """Args:
        folder: where it lies.
        source: how it was found: `dataset`=ingested and the folder.
        train: what training sees, where that is not the training items alone.
        """
        self.folder, self.train = folder, train or StreamedInteractions(folder)
        self.source = source or DataConfig(dataset="ingested", data_dir=str(folder.path))
        self.valid, self.test = (self._held_out(name) for name in ("valid", "test"))

    def __repr__(self) -> str:
        found = self.folder.manifest
        interactions = found.num_train + found.num_valid + found.num_test
        counts = f"{found.num_users:,} users, {found.num_items:,} items, {interactions:,} interactions"
        return f"<StreamedSplit {self.name}: {counts}, in {len(found.shards):,} shards of {self.folder.path}>"

    @property
    def name(self) -> str:
        return self.folder.manifest.name

    @property
    def fingerprint(self) -> str:
        """That of the same data in memory, which the manifest tells; another where held-out items are in training."""
        whole = self.folder.manifest.fingerprint
        if self.train.lists == TRAIN:
            return whole
        return hashlib.sha256(f"{whole} {self.train.lists}".encode()).hexdigest()[:16]

    @property
    def leaves_one_out(self) -> bool:
        """Whether each user has one validation item and one test item."""
        return self.folder.manifest.leaves_one_out

    @property
    def several(self) -> bool:
        """Whether validation or test has more than one item of any user."""
        return self.valid.several or self.test.several

    @property
    def cold_held_out(self) -> tuple[int, int]:
        """How many validation and test items no user has in training. Takes a pass over the shards, once."""
        unseen = self.train.item_counts == 0
        valid, test = self.folder.held_out_counts
        return int(valid[unseen].sum()), int(test[unseen].sum())

    @property
    def known_lists(self) -> tuple[str, ...]:
        """The lists of the records that have the unobserved items that users are known to like."""
        return _HELD_OUT[:2] if self.folder.manifest.num_liked is None else ("liked",)

    def statistics(self) -> dict[str, int]:
        """The rows of the paper's Table 2."""
        found = self.folder.manifest
        counts = found.num_users, found.num_items, found.num_train, found.num_valid, found.num_test
        return dict(zip(("#User", "#Item", "#Train", "#Valid", "#Test"), counts, strict=True))

    def all_interactions(self) -> StreamedInteractions:
        """Training, validation and test: all that a user is known to have seen."""
        return StreamedInteractions(self.folder, _ALL)

    def with_all_in_training(self) -> "StreamedSplit":
        """The same with the held-out items in training too: there they are known, and measure nothing any more."""
        return StreamedSplit(self.folder, self.source, self.all_interactions())

    def blocks(self) -> Iterator[Block]:
        """All users in their order, so many at a time, without `false_negatives`.

        Raises:
          InputError: a shard is damaged; it is named.
        """
        for first, rows in self.folder.blocks((*TRAIN, *_HELD_OUT)):
            users = slice(first, first + len(rows["items"].counts))
            yield Block(users, _split(self.name, _interactions(self.folder, users, rows, self.train.lists), rows))

    def select(self, users: np.ndarray) -> Split:
        """Of some users alone, in memory, numbered anew in the given order; the catalogue stays whole.

        Args:
          users: [n] different numbers.
        """
        different, place = np.unique(users, return_inverse=True)
        rows = self.folder.select((*TRAIN, *_HELD_OUT), different)
        found = _split(self.name, _interactions(self.folder, different, rows, self.train.lists), rows)
        return found if np.array_equal(place, np.arange(len(place))) else found.select(place)

    def in_memory(self) -> Split:
        """All of it as an ordinary data set, equal id for id to that which was ingested, but without times.

        Raises:
          InputError: a shard is damaged, or the records are not those that the manifest tells of.
        """
        lists = (*TRAIN, *_HELD_OUT, *(() if self.folder.manifest.num_liked is None else ("liked",)))
        found = [rows for _, rows in self.folder.blocks(lists)]
        rows = {name: joined([each.pop(name) for each in found]) for name in lists}
        train = _interactions(self.folder, slice(None), rows, TRAIN)
        train = replace(train, titles=self.train.titles, filters=self.train.filters, dropped=self.train.dropped)
        split = _split(self.name, train, rows)
        if "liked" in rows:
            split = replace(split, false_negatives=(rows["liked"].offsets, rows["liked"].values))
        if split.fingerprint != self.fingerprint:
            problem = (
                f"the records have the fingerprint {split.fingerprint}, and the manifest tells of {self.fingerprint}"
            )
            raise InputError(problem, path=self.folder.path, remedy=DAMAGED)
        return split

    def _held_out(self, name: str) -> StreamedHeldOut:
        counts = getattr(self.folder.users, f"{name}_counts")
        if counts is None:
            counts = np.ones(self.train.num_users, np.int64)
        users = np.flatnonzero(counts)
        return StreamedHeldOut(users.astype(np.int32), counts[users].astype(np.int64))


def _split(name: str, train: Interactions, rows: Mapping[str, Rows]) -> Split:
    """Of users in memory, by the lists of their records."""
    negatives, of_valid = rows["negatives"], rows["valid_negatives"]
    test, valid = (_held_out(rows[part], negatives) for part in ("test", "valid"))
    if len(of_valid.values):
        own = np.flatnonzero(of_valid.counts)
        drawn = valid.negatives.copy()
        drawn[np.searchsorted(valid.users, own)] = of_valid.values.reshape(-1, NUM_EVALUATION_NEGATIVES)
        valid = valid.with_negatives(drawn)
    return Split(name, train, valid, test)


def _held_out(rows: Rows, negatives: Rows) -> HeldOut:
    users = np.flatnonzero(rows.counts)
    offsets = np.concatenate([[0], np.cumsum(rows.counts[users])])
    has = negatives.counts > 0
    drawn = negatives.values.reshape(-1, NUM_EVALUATION_NEGATIVES)
    if len(users) < len(has) or not has.all():
        drawn = drawn[(np.cumsum(has) - 1)[users]]
    return HeldOut(users.astype(np.int32), offsets, rows.values, drawn)
