"""From rows to the folder: the stages one after the other, and what is decided of their counts in between."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import TIME, DataConfig
from pipelines.ingest import buckets, shards
from pipelines.ingest.beam import Stages
from pipelines.ingest.catalogue import Catalogue
from pipelines.ingest.finish import Finished
from pipelines.ingest.job import Job, file_name
from pipelines.ingest.order_statistics import order_statistics
from pipelines.ingest.partition import ROWS, STAGE, partition
from pipelines.ingest.results import Result
from pipelines.ingest.sources import Origin
from pipelines.ingest.tokens import Tokens
from pipelines.ingested import Manifest
from pipelines.interactions import Told, none_reaches, nothing_left, repeated, tell_dropped
from pipelines.load import Grades, repeats_rule, tell_kept
from pipelines.raw_ids import unpacked
from pipelines.readers.delimited import tell_headers
from pipelines.readers.ids import tell_several_titles, tell_white_space
from pipelines.split import NUM_EVALUATION_NEGATIVES, draw_ranks, negatives_draws, too_few_left
from pipelines.time_cut import (
    REMEDY,
    checked_cuts,
    cut_places,
    no_timestamps,
    tell_cuts,
    tell_evaluated,
    tell_new_users,
)
from pipelines.titles import title_array

USERS_A_SHARD = 65_536
_LAST = np.iinfo(np.int64).max


def ingest_rows(origin: Origin, stages: Stages, num_shards: int) -> Manifest:
    """Ingests a source that is cut into pieces; see `pipelines.ingest.run.ingest`."""
    job, config = stages.job, stages.job.config
    stages.make(ROWS, buckets.CATALOGUE, buckets.PAIRS, buckets.ALIVE, buckets.NUMBERS, buckets.KEPT, buckets.DROPPED)
    pieces = stages.run(STAGE, partition, [(piece,) for piece in origin.pieces], "reading")
    facts = _Facts.of(pieces)
    if not facts.rows + facts.headers:
        raise origin.no_rows()
    tell_headers(facts.headers, origin.first)
    text = _decided(origin, pieces)
    if config.split_by == TIME and not facts.timed:
        raise no_timestamps()
    catalogue = Catalogue.of([Tokens.unpack("items", piece.arrays) for piece in pieces])
    job.keep(buckets.CATALOGUE, Result({}, catalogue.pack()))

    padded = [
        _padded(name, pieces) if is_text and origin.text is None else []
        for name, is_text in zip(_IDS, text, strict=True)
    ]
    filled = [number for number, piece in enumerate(pieces) if piece.facts["rows"]]
    starts = np.concatenate([[0], np.cumsum([piece.facts["rows"] for piece in pieces])])[filled].tolist()
    looked_for = Result({}, _trimmed(padded[0]).pack("ids")) if padded[0] else Result()
    every = range(job.num_buckets if filled else 0)
    gathered = stages.run(buckets.GATHER, buckets.gather, [(filled, starts, looked_for) for _ in every], "sorting")
    twins = sum(each.facts["found"] for each in gathered), _count_in(catalogue, _trimmed(padded[1]))
    for name, words, count in zip(_IDS, padded, twins, strict=True):
        tell_white_space(words, count, getattr(origin.columns, name), origin.first)
    titles = _titles(pieces, origin)

    core = _Core.of(gathered, len(catalogue), facts, origin, config, catalogue.ids(text[1]))
    core.filter(stages)
    if not core.rows:
        raise nothing_left(origin.source, config.min_rating, config.min_user_items, config.min_item_users)
    core_items = np.flatnonzero(core.counts)
    core_items = core_items[np.argsort(core.firsts[core_items])]
    cut = _Cut.of(stages, core, config) if config.split_by == TIME else None
    items = core_items if cut is None else core_items[cut.item_counts[core_items] > 0]
    numbers = np.full(len(catalogue), -1, np.int32)
    numbers[items] = np.arange(len(items))
    job.keep(buckets.NUMBERS, Result({}, {"numbers": numbers, "in_core": core.counts > 0}))
    moments = None if cut is None else cut.moments
    numbered = stages.run(buckets.NUMBER, buckets.number, [(core.turn, moments) for _ in every], "numbering")

    item_ids, title_of = catalogue.ids(text[1]), None
    if titles:
        names = item_ids[core_items].tolist()
        keys = map(str, names) if origin.columns.title else names
        found = (str(titles.get(key, name)) for key, name in zip(keys, names, strict=True))
        shown = title_array(found, origin.source)
        title_of = shown[np.isin(core_items, items)]
    settings = ("min_rating", "min_user_items", "min_item_users")
    early = sum(each.facts["early"] for each in numbered)
    rules = {name: getattr(config, name) for name in settings} | {"duplicates": repeats_rule(config)}
    tell_dropped(origin.source, core.told.filters, early, **rules)
    kept = _Kept(core.rows, core.users, len(core_items))
    tell_kept(kept, facts.rows, facts.grades, config, source=origin.source, timed=facts.timed)

    users = _Users.of(numbered, buckets.KEPT, text[0])
    dropped = _Users.of(numbered, buckets.DROPPED, text[0])
    num_shards = shards_for(len(users.ids), num_shards)
    _plan(job, users, num_shards, len(items), evaluated=_evaluated(users, numbered, cut))
    stages.make(shards.PARTS)
    arguments = [(num_shards, len(items), facts.timed, moments)] * num_shards
    in_processes = len(users.ids) > _MANY_USERS
    written = stages.run(shards.STAGE, shards.write_users, arguments, "writing", in_processes=in_processes)
    of_dropped: list[Result] = []
    if len(dropped.ids):
        num_dropped = shards_for(len(dropped.ids), 0)
        _plan(job, dropped, num_dropped, len(items), evaluated=None)
        arguments = [(num_dropped,)] * num_dropped
        of_dropped = stages.run("dropped-shards", shards.write_dropped, arguments, "writing dropped users")
    finished = Finished(
        name=config.dataset,
        shards=written,
        dropped_shards=of_dropped,
        user_ids=users.ids,
        item_ids=item_ids[items],
        titles=title_of,
        dropped_ids=dropped.ids if len(dropped.ids) else None,
        filters=core.told.filters,
    )
    if cut is not None:
        num_train, num_valid, num_test = finished.sizes
        tell_cuts(*cut.moments, num_train, num_valid, num_test)
        if cut.new_users:
            tell_new_users(cut.new_users, core.rows - cut.rows, len(core_items) - len(items))
        tell_evaluated(len(users.ids), finished.evaluated, (num_valid, num_test), *finished.cold(job), REMEDY)
    return finished.write(job)


_IDS = ("user", "item")
_MANY_USERS = 50_000
"""From so many on, processes for the writing of records are worth their start."""


def shards_for(num_users: int, asked: int) -> int:
    """Files for so many users, where so many are asked for; 0: as many as suit."""
    return min(asked or math.ceil(num_users / USERS_A_SHARD), num_users)


@dataclass(frozen=True)
class _Facts:
    """What all pieces together tell."""

    rows: int
    headers: int
    timed: bool
    grades: Grades | None

    @classmethod
    def of(cls, pieces: Sequence[Result]) -> "_Facts":
        facts = [piece.facts for piece in pieces]
        rows, graded = sum(each["rows"] for each in facts), [each for each in facts if "low" in each]
        grades = None
        if graded:
            low, high = min(each["low"] for each in graded), max(each["high"] for each in graded)
            grades = Grades(low, high, sum(each["positives"] for each in graded) / rows)
        return cls(rows, sum(each["headers"] for each in facts), any(each["timed"] for each in facts), grades)


@dataclass(frozen=True)
class _Kept:
    """See `pipelines.load.Kept`."""

    num_interactions: int
    num_users: int
    num_items: int


def _decided(origin: Origin, pieces: Sequence[Result]) -> tuple[bool, bool]:
    """Whether ids of users, and of items, are text; raises InputError where they are numbers and one is no id."""
    if origin.text is not None:
        return origin.text
    decided = []
    for name in _IDS:
        text = any(piece.facts[f"{name}_text"] for piece in pieces)
        bad = [
            (number, *piece.facts[f"{name}_bad"]) for number, piece in enumerate(pieces) if piece.facts[f"{name}_bad"]
        ]
        if bad and not text:
            origin.refuse_number(getattr(origin.columns, name), *bad[0])
        decided.append(text)
    return decided[0], decided[1]


def _padded(name: str, pieces: Sequence[Result]) -> list[str]:
    """The different texts of a column that have white space around them, in the order of their appearance."""
    return list(dict.fromkeys(word for piece in pieces for word in unpacked(f"{name}_padded", piece.arrays)))


def _trimmed(words: Sequence[str]) -> Tokens:
    """The texts without the white space around them."""
    trimmed = pc.utf8_trim_whitespace(pa.array(words, pa.string()))
    return Tokens.of(pa.DictionaryArray.from_arrays(np.arange(len(words), dtype=np.int32), trimmed))


def _count_in(catalogue: Catalogue, ids: Tokens) -> int:
    names = set(catalogue.ids(text=True).tolist()) if len(ids) else set()
    return sum(name in names for name in ids.ids(text=True).tolist())


def _titles(pieces: Sequence[Result], origin: Origin) -> dict:
    """Item ids -> titles: the first that is not empty; a notice tells of items that have several."""
    if not origin.columns.title:
        return dict(origin.titles)
    first: dict[str, str] = {}
    several: dict[str, None] = {}
    for piece in pieces:
        if "title_rows" not in piece.arrays:
            continue
        names, titles = unpacked("titled", piece.arrays).tolist(), unpacked("titles", piece.arrays).tolist()
        for place in np.argsort(piece.arrays["title_rows"], kind="stable").tolist():
            if first.setdefault(names[place], titles[place]) != titles[place]:
                several[names[place]] = None
    tell_several_titles(len(several), next(iter(several), ""), origin.source)
    return first


class _Core:
    """The rows that are left when users and items with too few of them go, until there are none."""

    def __init__(self, num_codes: int, told: Told, rows: int) -> None:
        self.told, self.rows, self.users, self.turn = told, rows, 0, 0
        self.alive = np.ones(num_codes, bool)
        self.counts = self.firsts = np.zeros(num_codes, np.int64)

    @classmethod
    def of(
        cls,
        gathered: Sequence[Result],
        num_codes: int,
        facts: _Facts,
        origin: Origin,
        config: DataConfig,
        item_ids: np.ndarray,
    ) -> "_Core":
        """What is left of positives without repeats, of which those of users with too few items are taken.

        Raises:
          InputError: no row counts as a positive, or one repeats and must not.
        """
        sums = {name: np.sum([e.facts[name] for e in gathered], axis=0, dtype=int).tolist() for name in _COUNTED}
        positive_items = np.zeros(num_codes, bool)
        for each in gathered:
            positive_items[each.arrays["items"][each.arrays["positive"]]] = True
        if facts.rows and not sums["positive"][0]:
            raise none_reaches(config.min_rating, facts.grades.low, facts.grades.high, origin.source)
        repeats = [each.facts for each in gathered if "repeat" in each.facts]
        if config.duplicates == "error" and repeats:
            told = min(repeats, key=lambda each: each["repeat"])
            raise repeated(told["user"], item_ids[told["item"]], told["repeat"], origin.source)
        told = Told(*(sums["all"] if gathered else (0, 0)), num_codes)
        for setting, name in (("min_rating", "positive"), ("duplicates", "different")):
            told.left(setting, *(sums[name] if gathered else (0, 0)), int(positive_items.sum()))
        core = cls(num_codes, told, sums["different"][0] if gathered else 0)
        core._take_users(gathered)
        return core

    def _take_users(self, results: Sequence[Result]) -> None:
        """What is left after users with too few items are gone."""
        before = self.rows
        self.rows, self.users = (sum(each.facts[name] for each in results) for name in ("rows", "users"))
        self.counts = np.zeros(len(self.alive), np.int64)
        self.firsts = np.full(len(self.alive), _LAST)
        for each in results:
            items = each.arrays["core_items"]
            self.counts[items] += each.arrays["counts"]
            self.firsts[items] = np.minimum(self.firsts[items], each.arrays["firsts"])
        if self.rows < before:
            self.told.left("min_user_items", self.rows, self.users, int(np.count_nonzero(self.counts)))

    def filter(self, stages: Stages) -> None:
        """Drops items with too few users and users with too few items, in turns, until nothing changes."""
        job = stages.job
        job.keep(buckets.ALIVE, Result({}, {"alive": self.alive}), self.turn)
        while (few := (self.counts > 0) & (self.counts < job.config.min_item_users)).any():
            self.turn += 1
            self.alive = self.alive & ~few
            job.keep(buckets.ALIVE, Result({}, {"alive": self.alive}), self.turn)
            left_items = int(np.count_nonzero(self.alive & (self.counts > 0)))
            arguments = [(self.turn,)] * job.num_buckets
            results = stages.run(
                f"{buckets.FILTER}-{self.turn}", buckets.filtered, arguments, f"filtering, turn {self.turn}"
            )
            self.rows, users = (sum(each.facts[name] for each in results) for name in ("item_rows", "item_users"))
            self.told.left("min_item_users", self.rows, users, left_items)
            self._take_users(results)


_COUNTED = ("all", "positive", "different")


@dataclass(frozen=True)
class _Cut:
    """A split by time: when its parts begin, and what is left of the users who have something before."""

    moments: tuple[float, float]
    rows: int
    new_users: int
    item_counts: np.ndarray
    """[num_codes] int64."""

    @classmethod
    def of(cls, stages: Stages, core: _Core, config: DataConfig) -> "_Cut":
        job = stages.job
        written = stages.run(buckets.TIMES, buckets.times, [(core.turn,)] * job.num_buckets, "times")
        parts = [_mapped(job, number) for number, each in enumerate(written) if each.facts["rows"]]
        places = cut_places(core.rows, config.valid_share, config.test_share)
        moments = checked_cuts(*order_statistics(parts, places))
        arguments = [(core.turn, moments[0])] * job.num_buckets
        staying = stages.run(buckets.STAY, buckets.staying, arguments, "cutting")
        counts = np.zeros(len(core.counts), np.int64)
        for each in staying:
            counts[each.arrays["core_items"]] += each.arrays["counts"]
        rows, new = (sum(each.facts[name] for each in staying) for name in ("rows", "new_users"))
        return cls(moments, rows, new, counts)


def _mapped(job: Job, bucket: int) -> np.ndarray:
    """The times of a bucket, in ascending order; in a file of this machine they stay there."""
    path = job.path(buckets.TIMES, file_name(bucket, ".f64"))
    if isinstance(path, Path):
        return np.memmap(path, np.float64, "r")
    with path.open("rb") as file:
        return np.frombuffer(file.read(), np.float64)


@dataclass(frozen=True)
class _Users:
    """Users of one kind, in the order of their numbers."""

    ids: np.ndarray
    """[num_users]."""
    counts: np.ndarray
    """[num_users] int64: items of each."""
    order: np.ndarray
    """[num_users] int64: place of each in the buckets, one after the other."""
    sizes: Sequence[int]
    """[num_buckets] users of each bucket."""

    @classmethod
    def of(cls, numbered: Sequence[Result], kind: str, text: bool) -> "_Users":
        firsts = np.concatenate([each.arrays[f"{kind}_firsts"] for each in numbered])
        late = np.ones(len(firsts), bool)
        if kind == buckets.DROPPED:
            late = np.concatenate([each.arrays["dropped_late"] for each in numbered])
        order = np.lexsort((firsts, ~late))
        counts = np.concatenate([each.arrays[f"{kind}_counts"] for each in numbered])[order]
        sizes = [len(each.arrays[f"{kind}_firsts"]) for each in numbered]
        parts = [Tokens.unpack(kind, each.arrays).ids(text) for each in numbered]
        return cls(np.concatenate(parts)[order], counts, order, sizes)


def _evaluated(users: _Users, numbered: Sequence[Result], cut: _Cut | None) -> np.ndarray:
    """[num_users] bool: who has anything held out."""
    if cut is None:
        return np.ones(len(users.ids), bool)
    held_out = [each.arrays["valid_counts"] + each.arrays["test_counts"] for each in numbered]
    return np.concatenate(held_out)[users.order] > 0


def _plan(job: Job, users: _Users, num_shards: int, num_items: int, evaluated: np.ndarray | None) -> None:
    """Writes what each shard is made of.

    Args:
      job: of the ingestion.
      users: whom the shards hold.
      num_shards: how many there are.
      num_items: of the catalogue.
      evaluated: [num_users] bool: for whom negatives are drawn; None: these are dropped users.

    Raises:
      InputError: 100 negatives cannot be drawn for one of them.
    """
    kind = buckets.DROPPED if evaluated is None else buckets.KEPT
    bounds = np.linspace(0, len(users.ids), num_shards + 1).astype(int)
    states = [{} for _ in bounds] if evaluated is None else _generators(users, bounds, num_items, evaluated, job.config)
    number_at = np.empty(len(users.order), np.int64)
    number_at[users.order] = np.arange(len(users.order))
    count_at = users.counts[number_at]
    ends = np.cumsum(users.sizes)
    of_bucket = [(number_at[e - n : e], count_at[e - n : e]) for e, n in zip(ends, users.sizes, strict=True)]
    before = np.concatenate([[0], np.cumsum(users.counts)])
    offsets = [np.concatenate([[0], np.cumsum(counts)]) for _, counts in of_bucket]
    stages_folder = job.path(f"{shards.PLANS}-{kind}")
    if isinstance(stages_folder, Path):
        stages_folder.mkdir(exist_ok=True)
    for shard in range(num_shards):
        first, last = bounds[shard : shard + 2].tolist()
        ranges = [np.searchsorted(numbers, (first, last)) for numbers, _ in of_bucket]
        both = list(zip(of_bucket, ranges, strict=True))
        shards.Plan(
            first_user=first,
            users=np.concatenate([numbers[a:b] for (numbers, _), (a, b) in both]) - first,
            counts=np.concatenate([counts[a:b] for (_, counts), (a, b) in both]),
            stretches=np.array([ends[r] for ends, r in zip(offsets, ranges, strict=True)]),
            generator=states[shard],
            first_draw=int(before[first]),
        ).write(job, kind, shard)


def _generators(
    users: _Users, bounds: np.ndarray, num_items: int, evaluated: np.ndarray, config: DataConfig
) -> list[dict]:
    """States of the generator of evaluation negatives at the first user of each shard.

    What it draws for a user depends on nothing but how many items are left: so all draws are made here once, one user
    after the other, and again by the shards.
    """
    left = num_items - users.counts
    if (left[evaluated] < NUM_EVALUATION_NEGATIVES).any():
        user = np.flatnonzero(evaluated)[np.argmin(left[evaluated])]
        raise too_few_left(users.ids[user], left[user], num_items, NUM_EVALUATION_NEGATIVES)
    rng, states = negatives_draws(config.split_seed), []
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        states.append(rng.bit_generator.state)
        for number in left[first:last][evaluated[first:last]].tolist():
            draw_ranks(rng, number, NUM_EVALUATION_NEGATIVES)
    return states
