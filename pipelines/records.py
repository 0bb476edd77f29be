"""A user as a record of a TFRecord file: a `tf.train.Example` of lists of whole numbers, one a part of the split.

    "user" [1]; "items" training items in the order of the source; "valid", "test" held-out items; "negatives" what
    these are ranked against (none of a user who is not evaluated); "valid_negatives" where those of validation are
    others; "liked" the unobserved items that the user would in truth like, where known

All numbers are those of `pipelines.interactions.Interactions`. Of a dropped user there are "user" and "items".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

import numpy as np
import tensorflow as tf

from pipelines.atomic import whole
from pipelines.errors import InputError
from pipelines.paths import AnyPath
from pipelines.tf_files import tf_writing

_REMEDY = "Ingest the data again, or copy the folder again."
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class Record:
    """What one user has; each list is [n] item numbers, None where there are none."""

    user: int
    items: np.ndarray
    """Training items, in the order of the source."""
    valid: np.ndarray | None = None
    test: np.ndarray | None = None
    negatives: np.ndarray | None = None
    """What held-out items are ranked against: 100 of a user who is evaluated, else none."""
    valid_negatives: np.ndarray | None = None
    """Those of validation, where they are others."""
    liked: np.ndarray | None = None
    """Unobserved items that the user would in truth like, where that is known."""

    def encode(self) -> bytes:
        """The serialized `tf.train.Example`; lists of nothing are left out."""
        example = tf.train.Example()
        lists = example.features.feature
        lists["user"].int64_list.value.append(int(self.user))
        for name in LISTS:
            values = getattr(self, name)
            if values is not None and len(values):
                lists[name].int64_list.value.extend(np.asarray(values).tolist())
        return example.SerializeToString(deterministic=True)


LISTS = tuple(each.name for each in fields(Record) if each.name != "user")
"""Names of the lists that a record may have."""


def parse(serialized: tf.Tensor, lists: Sequence[str] = LISTS) -> dict[str, tf.Tensor | tf.RaggedTensor]:
    """Parses records within a graph.

    Args:
      serialized: [batch] string, from `Record.encode`.
      lists: which lists to parse; the others cost nothing.

    Returns:
      "users" [batch] int32, and for each list [batch, (n)] int32 with int64 row splits; a list that a record has not
      is empty.

    Raises:
      tf.errors.InvalidArgumentError: as an op: these are no such records.
    """
    features = {name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for name in lists}
    parsed = tf.io.parse_example(serialized, features | {"user": tf.io.FixedLenFeature([], tf.int64)})
    found = {"users": tf.cast(parsed["user"], tf.int32)}
    return found | {name: parsed[name].with_values(tf.cast(parsed[name].values, tf.int32)) for name in lists}


@dataclass(frozen=True)
class Rows:
    """One list of several records, as compressed sparse rows."""

    offsets: np.ndarray
    """[num_records + 1] int64: record r's list is `values[offsets[r]:offsets[r + 1]]`."""
    values: np.ndarray
    """[n] int32 item numbers."""

    @property
    def counts(self) -> np.ndarray:
        """[num_records] int64: lengths of the lists."""
        return np.diff(self.offsets)

    @classmethod
    def of_ragged(cls, ragged: tf.RaggedTensor) -> "Rows":
        """Those of a list that `parse` gives eagerly."""
        return cls(ragged.row_splits.numpy(), ragged.values.numpy())


def parse_arrays(
    serialized: Sequence[bytes], path: AnyPath | str = "", lists: Sequence[str] = LISTS
) -> tuple[np.ndarray, Mapping[str, Rows]]:
    """Parses records into NumPy arrays.

    Args:
      serialized: [num_records] from `Record.encode`.
      path: where they come from, for the error message.
      lists: which lists to parse.

    Returns:
      [num_records] int32 user numbers, and each list's rows by its name.

    Raises:
      InputError: they are no such records.
    """
    try:
        with tf.device("CPU:0"):
            parsed = parse(tf.constant(list(serialized), tf.string), lists)
    except tf.errors.OpError:
        raise InputError("records that are not those of an ingested data set", path=path, remedy=_REMEDY) from None
    return parsed["users"].numpy(), {name: Rows.of_ragged(parsed[name]) for name in lists}


@dataclass(frozen=True)
class Shard:
    """One TFRecord file of users' records, as the folder's manifest tells of it."""

    file: str
    """Its name in the folder."""
    users: int
    """How many records it has."""
    interactions: int
    """How many training items these have together."""
    bytes: int
    """Its size, by which a truncated file is told before it is read."""


def shard_name(kind: str, number: int, count: int) -> str:
    """The file of a shard: ("users", 3, 16) is "users-00003-of-00016.tfrecord"."""
    return f"{kind}-{number:05d}-of-{count:05d}.tfrecord"


def write_shard(path: AnyPath, records: Iterable[Record]) -> Shard:
    """Writes records into a TFRecord file, whole or not at all.

    Args:
      path: the file; its folder must exist.
      records: in ascending order of users.

    Raises:
      StorageError: it cannot be written.
    """
    users = interactions = 0
    with whole(path) as unfinished:
        with tf_writing(path), tf.io.TFRecordWriter(str(unfinished)) as writer:
            for record in records:
                writer.write(record.encode())
                users, interactions = users + 1, interactions + len(record.items)
        return Shard(path.name, users, interactions, unfinished.stat().st_size)


def read_shard(path: AnyPath, at_once: int = 1024) -> Iterator[list[bytes]]:
    """The serialized records of a shard, so many at a time.

    Raises:
      InputError: the file is not there, damaged, truncated or no TFRecord file.
    """
    with reading_records(path):
        for block in tf.data.TFRecordDataset(str(path), buffer_size=_BUFFER_BYTES).batch(at_once):
            yield block.numpy().tolist()


@contextmanager
def reading_records(path: AnyPath | str) -> Iterator[None]:
    """Makes an InputError that names the file of what TensorFlow says of a TFRecord file that it cannot read."""
    try:
        yield
    except tf.errors.NotFoundError:
        raise InputError("no such file", path=path, remedy=_REMEDY) from None
    except tf.errors.OpError:
        raise InputError("not a TFRecord file, or damaged or truncated", path=path, remedy=_REMEDY) from None
