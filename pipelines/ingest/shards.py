"""The last stage: a file of users' records, with the split and the evaluation negatives of these users."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.atomic import whole
from pipelines.config import LEAVE_ONE_OUT, RATIO, DataConfig
from pipelines.held_out import HeldOut
from pipelines.ingest.job import Job, file_name
from pipelines.ingest.results import Result
from pipelines.interactions import Interactions
from pipelines.paths import AnyPath, as_path
from pipelines.records import Record, Shard, shard_name, write_shard
from pipelines.split import NUM_EVALUATION_NEGATIVES, draw_ranks, latest, ratio_counts, recency_draws, unobserved_at

STAGE, PLANS, PARTS = "shards", "plans", "parts"


@dataclass(frozen=True)
class Plan:
    """What a shard is made of: users of consecutive numbers, who lie in stretches of the buckets' files."""

    first_user: int
    users: np.ndarray
    """[num_users] int64 their numbers from `first_user`, bucket by bucket."""
    counts: np.ndarray
    """[num_users] int64 items of each, likewise."""
    stretches: np.ndarray
    """[num_buckets, 2] int64: where in its file the items of each bucket begin and end."""
    generator: Mapping
    """State of the generator of evaluation negatives at the first user."""
    first_draw: int
    """How many interactions users before these have."""

    def write(self, job: Job, kind: str, number: int) -> None:
        arrays = {"users": self.users, "counts": self.counts, "stretches": self.stretches}
        facts = {"first_user": self.first_user, "generator": self.generator, "first_draw": self.first_draw}
        job.keep(f"{PLANS}-{kind}", Result(facts, arrays), number)

    @classmethod
    def read(cls, job: Job, kind: str, number: int) -> "Plan":
        result = job.result(f"{PLANS}-{kind}", number)
        return cls(**result.facts, **result.arrays)

    def items(self, job: Job, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Offsets and items of the users in the order of their numbers."""
        items = self._read(job, kind, ".items", np.int32)
        offsets, places = self._order()
        return offsets, items[places]

    def times(self, job: Job, kind: str) -> np.ndarray:
        """Of the same interactions."""
        return self._read(job, kind, ".times", np.float64)[self._order()[1]]

    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        """Offsets by number, and where each interaction stands in what is read."""
        order = np.argsort(self.users)
        counts, starts = self.counts[order], (np.cumsum(self.counts) - self.counts)[order]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return offsets, np.repeat(starts - offsets[:-1], counts) + np.arange(offsets[-1])

    def _read(self, job: Job, kind: str, ending: str, dtype: type) -> np.ndarray:
        stretches = enumerate(self.stretches.tolist())
        parts = [_read_raw(job.path(kind, file_name(b, ending)), dtype, *ends) for b, ends in stretches]
        return np.concatenate([np.zeros(0, dtype), *parts])


def _read_raw(path: AnyPath, dtype: type, start: int, end: int) -> np.ndarray:
    if start == end:
        return np.zeros(0, dtype)
    size = np.dtype(dtype).itemsize
    if isinstance(path, Path):
        return np.fromfile(path, dtype, end - start, offset=start * size)
    with path.open("rb") as file:
        file.seek(start * size)
        return np.frombuffer(file.read((end - start) * size), dtype)


def write_users(
    job: Job, number: int, num_shards: int, num_items: int, timed: bool, cuts: tuple[float, float] | None
) -> Result:
    """Writes the records of a shard's users; see `tell_shard` for the result.

    Args:
      job: of the ingestion.
      number: of the shard.
      num_shards: how many there are.
      num_items: of the catalogue.
      timed: whether there are timestamps.
      cuts: when validation and test begin, where the split is by time.
    """
    plan = Plan.read(job, "kept", number)
    offsets, items = plan.items(job, "kept")
    times = plan.times(job, "kept") if timed else None
    ids = np.arange(plan.first_user, plan.first_user + len(offsets) - 1)
    interactions = Interactions(offsets, items, ids, np.broadcast_to(np.int64(0), num_items), timestamps=times)
    in_valid, in_test = _held_out(interactions, plan.first_draw, job.config, cuts)
    users = interactions.users
    valid, test = (HeldOut.of_pairs(users[mask], items[mask]) for mask in (in_valid, in_test))
    evaluated = np.union1d(valid.users, test.users)
    rng = np.random.default_rng()
    rng.bit_generator.state = plan.generator
    negatives = np.empty((len(evaluated), NUM_EVALUATION_NEGATIVES), np.int32)
    for row, user in enumerate(evaluated.tolist()):
        seen = interactions.of(user)
        negatives[row] = unobserved_at(draw_ranks(rng, num_items - len(seen), NUM_EVALUATION_NEGATIVES), seen)
    part = Part(plan.first_user, interactions.keep(~(in_valid | in_test)), valid, test, negatives)
    return part.write(job, number, num_shards)


def _held_out(
    interactions: Interactions, first_draw: int, config: DataConfig, cuts: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Which interactions validation and test hold out."""
    times = interactions.timestamps
    if cuts is not None:
        in_test = times >= cuts[1]
        return (times >= cuts[0]) & ~in_test, in_test
    counts = interactions.counts
    num_valid = num_test = np.ones(len(counts), np.int64)
    if config.split_by == RATIO:
        num_valid, num_test = ratio_counts(counts, config.valid_share, config.test_share)
    else:
        assert config.split_by == LEAVE_ONE_OUT
    if times is None:
        rng = recency_draws(config.split_seed)
        rng.bit_generator.advance(first_draw)
        times = rng.random(interactions.num_interactions)
    return latest(interactions, times, num_valid, num_test)


@dataclass(frozen=True)
class Part:
    """The users of one shard, split."""

    first_user: int
    train: Interactions
    """Of users who are numbered from 0 here."""
    valid: HeldOut
    test: HeldOut
    negatives: np.ndarray
    """[num_evaluated, 100] int32: of users with anything held out."""
    liked: tuple[np.ndarray, np.ndarray] | None = None
    """Offsets and items, where known: unobserved items that the users would in truth like."""

    def records(self) -> Iterator[Record]:
        """Those of the users, in the order of their numbers."""
        num_users = self.train.num_users
        valid_offsets, test_offsets = (part.offsets_over(num_users).tolist() for part in (self.valid, self.test))
        evaluated = iter(self.negatives)
        offsets = self.train.offsets.tolist()
        for user in range(num_users):
            valid = self.valid.items[valid_offsets[user] : valid_offsets[user + 1]]
            test = self.test.items[test_offsets[user] : test_offsets[user + 1]]
            yield Record(
                self.first_user + user,
                self.train.items[offsets[user] : offsets[user + 1]],
                valid=valid,
                test=test,
                negatives=next(evaluated) if len(valid) or len(test) else None,
                liked=None if self.liked is None else self.liked[1][self.liked[0][user] : self.liked[0][user + 1]],
            )

    def write(self, job: Job, number: int, num_shards: int) -> Result:
        """Writes the shard, and beside it its parts one by one, of which the fingerprint is made.

        Facts: those of the `Shard`, and of the liked items "liked". Arrays: "counts", "valid_counts" and "test_counts"
        of each user; "items": how many of these users have each item in training.
        """
        path = as_path(job.folder) / shard_name("users", number, num_shards)
        shard = write_shard(path, self.records())
        num_users = self.train.num_users
        arrays = {"counts": self.train.counts, "items": self.train.item_counts}
        for name, part in (("valid", self.valid), ("test", self.test)):
            arrays[f"{name}_counts"] = np.diff(part.offsets_over(num_users))
            _write_raw(job.path(PARTS, file_name(number, f".{name}")), part.items)
        _write_raw(job.path(PARTS, file_name(number, ".train")), self.train.items)
        _write_raw(job.path(PARTS, file_name(number, ".negatives")), self.negatives)
        liked = None if self.liked is None else len(self.liked[1])
        return Result(vars(shard) | {"liked": liked}, arrays)


def write_dropped(job: Job, number: int, num_shards: int) -> Result:
    """Writes records of dropped users; the facts are those of the `Shard`."""
    plan = Plan.read(job, "dropped", number)
    offsets, items = plan.items(job, "dropped")
    ends = offsets.tolist()
    records = (Record(plan.first_user + u, items[ends[u] : ends[u + 1]]) for u in range(len(ends) - 1))
    return Result(vars(write_shard(as_path(job.folder) / shard_name("dropped", number, num_shards), records)))


def shard_of(result: Result) -> Shard:
    """What the manifest tells of a shard that was written."""
    return Shard(**{name: result.facts[name] for name in ("file", "users", "interactions", "bytes")})


def read_part(job: Job, name: str, number: int) -> np.ndarray:
    """One of the parts of a shard: "train", "valid" or "test" items, or "negatives"; int32, flat."""
    path = job.path(PARTS, file_name(number, f".{name}"))
    with path.open("rb") as file:
        return np.frombuffer(file.read(), np.int32)


def _write_raw(path: AnyPath, values: np.ndarray) -> None:
    with whole(path) as unfinished:
        np.ascontiguousarray(values).tofile(unfinished)
