"""The stages of a bucket, which has all rows of its users: repeats, filters, times, and the final numbers of its items.

Between them `pipelines.ingest.run` decides, of counts over all buckets, what the next one does.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.atomic import whole
from pipelines.ingest.catalogue import Catalogue
from pipelines.ingest.job import Job, file_name
from pipelines.ingest.partition import ROWS
from pipelines.ingest.results import Result
from pipelines.ingest.spill import read_rows, tokens_of
from pipelines.ingest.tokens import Tokens
from pipelines.interactions import without_repeats
from pipelines.load import repeats_rule

GATHER, FILTER, TIMES, STAY, NUMBER = "gather", "filter", "times", "stay", "number"
"""The stages."""
PAIRS, CATALOGUE, ALIVE, NUMBERS = "pairs", "catalogue", "alive", "numbers"
"""What lies in files beside the stages' results: a bucket's pairs; and what was decided for all of them."""
KEPT, DROPPED = "kept", "dropped"
"""Kinds of users, and of their files after the last stage."""


@dataclass(frozen=True)
class Pairs:
    """A bucket's pairs of a user and an item, without repeats, user by user in the order of first appearance."""

    users: Tokens
    counts: np.ndarray
    """[num_users] int64."""
    items: np.ndarray
    """[num_pairs] int32 codes of the catalogue; per user in the order of the source."""
    rows: np.ndarray
    """[num_pairs] int64: in which row of the source each stands."""
    times: np.ndarray | None
    """[num_pairs] float64."""

    @classmethod
    def read(cls, job: Job, bucket: int) -> "Pairs":
        arrays = job.result(PAIRS, bucket).arrays
        named = {name: arrays[name] for name in ("counts", "items", "rows")}
        return cls(users=Tokens.unpack("users", arrays), times=arrays.get("times"), **named)

    def write(self, job: Job, bucket: int) -> None:
        arrays = self.users.pack("users") | {"counts": self.counts, "items": self.items, "rows": self.rows}
        if self.times is not None:
            arrays["times"] = self.times
        job.keep(PAIRS, Result({}, arrays), bucket)

    @property
    def owners(self) -> np.ndarray:
        """[num_pairs] the user of each, as a place among `users`."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def core(self, alive: np.ndarray, fewest: int) -> np.ndarray:
        """[num_pairs] bool: pairs of items that are alive [num_codes] and of users with so many of them."""
        keep = alive[self.items]
        return keep & np.repeat(self.sums(keep) >= fewest, self.counts)

    def sums(self, mask: np.ndarray) -> np.ndarray:
        """[num_users]: how many of each user's pairs a mask [num_pairs] has."""
        before = np.concatenate([[0], np.cumsum(mask)])
        ends = np.cumsum(self.counts)
        return before[ends] - before[ends - self.counts]


def gather(job: Job, bucket: int, pieces: list[int], starts: list[int], looked_for: Result) -> Result:
    """Collects a bucket's rows, drops what is no positive and repeats, and looks at users with too few items.

    Args:
      job: of the ingestion.
      bucket: which.
      pieces: numbers of the pieces that have rows.
      starts: the number of the first row of each.
      looked_for: user ids, of which those that are there are counted.

    Facts: rows and users at the beginning ("all"), of positives ("positive") and without repeats ("different");
    "repeat": the first row that repeats a pair, with its "user" and "item"; "found" of the ids looked for. Arrays: the
    codes of all its "items", "positive": which of them have a positive. And those of `_tell_core`.
    """
    tables, rows = [], []
    for piece, start in zip(pieces, starts, strict=True):
        table = pa.Table.from_batches(read_rows(job.path(ROWS, file_name(piece, ".arrow")), bucket, job.num_buckets))
        tables.append(table)
        rows.append(table["row"].to_numpy() + start)
    table, rows = pa.concat_tables(tables, promote_options="default"), np.concatenate(rows)
    del tables
    codes, users = tokens_of(table, "user").factorize()
    items = Catalogue.unpack(job.result(CATALOGUE).arrays).codes(tokens_of(table, "item"))
    times = table["time"].to_numpy() if "time" in table.column_names else None
    positive = table["positive"].to_numpy() if "positive" in table.column_names else None
    del table
    facts = {"all": [len(rows), len(users)], "found": _count_found(users, looked_for)}
    arrays = {"items": np.unique(items)}
    if positive is not None:
        codes, items, rows = codes[positive], items[positive], rows[positive]
        times = None if times is None else times[positive]
    facts["positive"] = [len(rows), len(np.unique(codes))]
    arrays["positive"] = np.isin(arrays["items"], items)
    kept, repeat = without_repeats(codes, items, times, repeats_rule(job.config))
    if repeat is not None:
        facts["repeat"] = int(rows[repeat])
        repeated = users.take(codes[[repeat]]), int(items[repeat])
        facts |= {"user": repeated[0].ids(text=True)[0], "item": repeated[1]}
    kept = kept[np.argsort(codes[kept], kind="stable")]
    codes, items, rows = codes[kept], items[kept], rows[kept]
    facts["different"] = [len(rows), facts["positive"][1]]
    used, first, counts = np.unique(codes, return_index=True, return_counts=True)
    order = np.argsort(rows[first])  # a user's first row may be one that repeats dropped
    pairs = Pairs(users.take(used), counts, items, rows, None if times is None else times[kept])
    pairs = _in_order(pairs, order, np.concatenate([[0], np.cumsum(counts)]))
    pairs.write(job, bucket)
    told = _tell_core(pairs, pairs.core(np.ones(_codes_up_to(arrays["items"], items), bool), job.config.min_user_items))
    return Result(facts | told.facts, arrays | told.arrays)


def _codes_up_to(*codes: np.ndarray) -> int:
    """One more than the largest of several arrays of codes."""
    return int(max(each.max(initial=-1) for each in codes)) + 1


def _in_order(pairs: Pairs, order: np.ndarray, offsets: np.ndarray) -> Pairs:
    """The same with its users in another order: [num_users] places."""
    if (np.diff(order) > 0).all():
        return pairs
    places = _places(offsets[:-1][order], pairs.counts[order])
    times = None if pairs.times is None else pairs.times[places]
    return Pairs(pairs.users.take(order), pairs.counts[order], pairs.items[places], pairs.rows[places], times)


def _places(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The places of ranges that begin at `starts` and have `counts` places each, one range after the other."""
    ends = np.cumsum(counts)
    return np.repeat(starts - ends + counts, counts) + np.arange(ends[-1] if len(ends) else 0)


def _count_found(users: Tokens, looked_for: Result) -> int:
    if not looked_for.arrays:
        return 0
    names = set(users.ids(text=True).tolist())
    return sum(name in names for name in Tokens.unpack("ids", looked_for.arrays).ids(text=True).tolist())


def _tell_core(pairs: Pairs, core: np.ndarray) -> Result:
    """Of pairs in the core: "rows" and "users"; the codes of their "core_items", "counts" and first rows, "firsts"."""
    items = pairs.items[core]
    found, counts = np.unique(items, return_counts=True)
    first = np.full(len(found), np.iinfo(np.int64).max)
    np.minimum.at(first, np.searchsorted(found, items), pairs.rows[core])
    users = int(np.count_nonzero(pairs.sums(core)))
    facts = {"rows": len(items), "users": users}
    return Result(facts, {"core_items": found, "counts": counts, "firsts": first})


def filtered(job: Job, bucket: int, turn: int) -> Result:
    """Drops items that have too few users, and then users that have too few items.

    Facts: "rows" and "users" after both, and after the items alone ("item_rows", "item_users").
    """
    pairs, fewest = Pairs.read(job, bucket), job.config.min_user_items
    before, alive = (job.result(ALIVE, number).arrays["alive"] for number in (turn - 1, turn))
    left = pairs.core(before, fewest) & alive[pairs.items]
    told = _tell_core(pairs, pairs.core(alive, fewest))
    item_facts = {"item_rows": int(np.count_nonzero(left)), "item_users": int(np.count_nonzero(pairs.sums(left)))}
    return Result(told.facts | item_facts, told.arrays)


def times(job: Job, bucket: int, turn: int) -> Result:
    """Writes the times of the core in ascending order; fact: "rows"."""
    pairs = Pairs.read(job, bucket)
    core = pairs.core(job.result(ALIVE, turn).arrays["alive"], job.config.min_user_items)
    ordered = np.sort(pairs.times[core])
    _write_raw(job.path(TIMES, file_name(bucket, ".f64")), ordered)
    return Result({"rows": len(ordered)})


def staying(job: Job, bucket: int, turn: int, valid_from: float) -> Result:
    """Of users with something before validation begins: "rows", "users", "core_items" and "counts"; "new_users"."""
    pairs = Pairs.read(job, bucket)
    core = pairs.core(job.result(ALIVE, turn).arrays["alive"], job.config.min_user_items)
    known = pairs.sums(core & (pairs.times < valid_from)) > 0
    told = _tell_core(pairs, core & np.repeat(known, pairs.counts))
    users = int(np.count_nonzero(pairs.sums(core)))
    return Result(told.facts | {"new_users": users - told.facts["users"]}, told.arrays)


def number(job: Job, bucket: int, turn: int, cuts: tuple[float, float] | None) -> Result:
    """Writes the items of users who are kept, and of those who are dropped, by their final numbers.

    Args:
      job: of the ingestion.
      bucket: which.
      turn: of the filters, the last.
      cuts: when validation and test begin, where the split is by time.

    Arrays: of each kind of users, in the order of their numbers: their ids ("kept", "dropped"), "_counts" of items and
    "_firsts": the first row of each; "dropped_late" of those whom the cut drops, who are numbered before the others;
    and with a cut "valid_counts" and "test_counts". Fact: "early", the users whom the filters drop and who have items.
    """
    pairs, decided = Pairs.read(job, bucket), job.result(NUMBERS).arrays
    core = pairs.core(job.result(ALIVE, turn).arrays["alive"], job.config.min_user_items)
    numbers, has_row = decided["numbers"][pairs.items], decided["in_core"][pairs.items]
    known, late = pairs.sums(core) > 0, np.zeros(len(pairs.counts), bool)
    if cuts is not None:
        stays = pairs.sums(core & (pairs.times < cuts[0])) > 0
        known, late = stays, known & ~stays
    kept = core & np.repeat(known, pairs.counts)
    arrays = _write(job, bucket, KEPT, pairs, kept, kept, numbers, np.zeros(len(pairs.counts), bool), timed=True)
    if cuts is not None:
        in_test = kept & (pairs.times >= cuts[1])
        order = arrays.pop("kept_users")
        arrays["test_counts"] = pairs.sums(in_test)[order]
        arrays["valid_counts"] = pairs.sums(kept & (pairs.times >= cuts[0]))[order] - arrays["test_counts"]
    # Of users dropped by the cut their core counts; of the others all that they have of the items in the core.
    others = np.where(np.repeat(late, pairs.counts), core, has_row) & ~np.repeat(known, pairs.counts)
    arrays |= _write(job, bucket, DROPPED, pairs, others, others & (numbers >= 0), numbers, late, timed=False)
    dropped = arrays.pop("dropped_users")
    arrays.pop("kept_users", None)
    early = int(np.count_nonzero(pairs.sums(others & np.repeat(~late, pairs.counts))))
    return Result({"early": early}, arrays | {"dropped_late": late[dropped]})


def _write(
    job: Job,
    bucket: int,
    kind: str,
    pairs: Pairs,
    ordering: np.ndarray,
    mask: np.ndarray,
    numbers: np.ndarray,
    late: np.ndarray,
    *,
    timed: bool,
) -> dict[str, np.ndarray]:
    """Writes the pairs of a mask [num_pairs], users with a late one first, then by the first row of `ordering`."""
    counts = pairs.sums(mask)
    users = np.flatnonzero(counts)
    firsts = _first_rows(pairs, ordering)[users]
    order = np.lexsort((firsts, ~late[users]))
    users, firsts = users[order], firsts[order]
    starts = np.cumsum(pairs.sums(np.ones(len(mask), bool))) - pairs.counts
    places = _places(starts[users], pairs.counts[users])
    places = places[mask[places]]
    _write_raw(job.path(kind, file_name(bucket, ".items")), numbers[places].astype(np.int32))
    if timed and pairs.times is not None:
        _write_raw(job.path(kind, file_name(bucket, ".times")), pairs.times[places])
    told = {f"{kind}_counts": counts[users], f"{kind}_firsts": firsts, f"{kind}_users": users}
    return pairs.users.take(users).pack(kind) | told


def _first_rows(pairs: Pairs, mask: np.ndarray) -> np.ndarray:
    """[num_users] the first row of each user's pairs within a mask; meaningless where there is none."""
    if not len(pairs.counts):
        return pairs.counts
    rows = np.where(mask, pairs.rows, np.iinfo(np.int64).max)
    return np.minimum.reduceat(rows, np.cumsum(pairs.counts) - pairs.counts)


def _write_raw(path: object, values: np.ndarray) -> None:
    with whole(path) as unfinished:
        values.tofile(unfinished)
