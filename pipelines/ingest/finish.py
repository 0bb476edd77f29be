"""The end: vocabularies, counts, the fingerprint and the manifest of shards that are written."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.ingest.fingerprint import Fingerprint
from pipelines.ingest.job import Job
from pipelines.ingest.results import Result
from pipelines.ingest.shards import read_part, shard_of
from pipelines.ingested import Items, Manifest, Users
from pipelines.interactions import Filter
from pipelines.paths import as_path
from pipelines.split import NUM_EVALUATION_NEGATIVES


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A data set of which all shards are written."""

    name: str
    shards: Sequence[Result]
    """What `pipelines.ingest.shards.Part.write` told of each."""
    user_ids: np.ndarray
    item_ids: np.ndarray
    titles: np.ndarray | None = None
    dropped_shards: Sequence[Result] = ()
    dropped_ids: np.ndarray | None = None
    filters: tuple[Filter, ...] = ()

    def counts(self, name: str) -> np.ndarray:
        """[num_users] int64: "counts" of training, "valid_counts" or "test_counts"."""
        return np.concatenate([shard.arrays[name] for shard in self.shards])

    @property
    def item_counts(self) -> np.ndarray:
        """[num_items] int64: training."""
        return np.sum([shard.arrays["items"] for shard in self.shards], axis=0, dtype=np.int64)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Interactions of training, validation and test."""
        train, valid, test = (int(self.counts(name).sum()) for name in ("counts", "valid_counts", "test_counts"))
        return train, valid, test

    @property
    def evaluated(self) -> tuple[int, int]:
        """Users with an item in validation, and in test."""
        valid, test = (int(np.count_nonzero(self.counts(name))) for name in ("valid_counts", "test_counts"))
        return valid, test

    @property
    def leaves_one_out(self) -> bool:
        return all((self.counts(name) == 1).all() for name in ("valid_counts", "test_counts"))

    def cold(self, job: Job) -> tuple[tuple[int, int], int]:
        """Items of validation, and of test, that nobody has in training; and how many different ones there are."""
        unseen = self.item_counts == 0
        valid, test = (sum(int(unseen[part].sum()) for part in self._parts(job, name)) for name in ("valid", "test"))
        return (valid, test), int(np.count_nonzero(unseen))

    def _parts(self, job: Job, name: str) -> Iterator[np.ndarray]:
        for number in range(len(self.shards)):
            yield read_part(job, name, number)

    def fingerprint(self, job: Job) -> str:
        """`Split.fingerprint` of the data set."""
        one_each, counts = self.leaves_one_out, self.counts("counts")
        digest = Fingerprint(leaves_one_out=one_each)
        digest.add([np.zeros(1), np.cumsum(counts)])
        digest.add(self._parts(job, "train"))
        for name in ("valid", "test"):
            if not one_each:
                held_out = self.counts(f"{name}_counts")
                digest.add([np.flatnonzero(held_out), np.zeros(1), np.cumsum(held_out[held_out > 0])])
            digest.add(self._parts(job, name))
        for name in ("valid_counts", "test_counts"):
            digest.add(self._negatives(job, name), np.int32)
        digest.add_ids(self.user_ids)
        digest.add_ids(self.item_ids)
        return digest.text()

    def _negatives(self, job: Job, name: str) -> Iterator[np.ndarray]:
        """Those of the users who have anything held out in one of the parts."""
        for number, shard in enumerate(self.shards):
            valid, test = shard.arrays["valid_counts"], shard.arrays["test_counts"]
            evaluated = np.flatnonzero(valid + test)
            drawn = read_part(job, "negatives", number).reshape(-1, NUM_EVALUATION_NEGATIVES)
            yield drawn[shard.arrays[name][evaluated] > 0]

    def write(self, job: Job) -> Manifest:
        """Writes what is left to write, the manifest last.

        Raises:
          StorageError: it cannot be written.
        """
        folder, one_each = as_path(job.folder), self.leaves_one_out
        held_out = {} if one_each else {name: self.counts(name) for name in ("valid_counts", "test_counts")}
        Users(ids=self.user_ids, counts=self.counts("counts"), dropped_ids=self.dropped_ids, **held_out).write(folder)
        Items(ids=self.item_ids, counts=self.item_counts, titles=self.titles).write(folder)
        num_train, num_valid, num_test = self.sizes
        liked = [shard.facts["liked"] for shard in self.shards]
        manifest = Manifest(
            name=self.name,
            settings=dataclasses.asdict(job.config),
            num_users=len(self.user_ids),
            num_items=len(self.item_ids),
            num_train=num_train,
            num_valid=num_valid,
            num_test=num_test,
            num_dropped_users=0 if self.dropped_ids is None else len(self.dropped_ids),
            num_liked=None if None in liked else sum(liked),
            leaves_one_out=one_each,
            fingerprint=self.fingerprint(job),
            filters=self.filters,
            shards=tuple(map(shard_of, self.shards)),
            dropped_shards=tuple(map(shard_of, self.dropped_shards)),
        )
        manifest.write(folder)
        return manifest
