"""Rows on their way from the pieces of a source to the buckets of users: a file a piece, in which a bucket finds its.

The file is Arrow's: a batch for each block of rows and bucket, in this order.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.atomic import whole
from pipelines.ingest.pieces import Block
from pipelines.ingest.tokens import Tokens
from pipelines.paths import AnyPath

_AT_ONCE = 1 << 22
"""Rows that are ordered at once."""


class Writer:
    """Writes rows by bucket."""

    def __init__(self, file: Path, num_buckets: int, textual: bool) -> None:
        self._file, self._buckets, self._textual = pa.OSFile(str(file), "wb"), num_buckets, textual
        self._writer, self._rows = None, 0

    def add(self, block: Block, positive: np.ndarray | None) -> None:
        """The next rows of the piece; [n] whether each counts as a positive, None: all do."""
        for start in range(0, len(block), _AT_ONCE):
            self._add(block, positive, np.arange(start, min(start + _AT_ONCE, len(block))))

    def _add(self, block: Block, positive: np.ndarray | None, rows: np.ndarray) -> None:
        buckets = block.users.take(rows).buckets(self._buckets)
        order = np.argsort(buckets.astype(np.uint16), kind="stable")  # which is a radix sort
        rows = rows[order]
        columns = {"row": self._rows + order}
        for name, ids in (("user", block.users.take(rows)), ("item", block.items.take(rows))):
            columns[name] = ids.numbers
            if self._textual:
                columns[f"{name}_word"] = pa.nulls(len(rows), pa.string()) if ids.words is None else ids.words
        if block.timestamps is not None:
            columns["time"] = block.timestamps[rows]
        if positive is not None:
            columns["positive"] = positive[rows]
        batch = pa.RecordBatch.from_pydict(columns)
        if self._writer is None:
            self._writer = pa.ipc.new_file(self._file, batch.schema)
        ends = np.cumsum(np.bincount(buckets, minlength=self._buckets)).tolist()
        for start, end in zip([0, *ends], ends, strict=False):
            self._writer.write_batch(batch.slice(start, end - start))
        self._rows += len(rows)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._file.close()


@contextmanager
def writing_rows(path: AnyPath, num_buckets: int, *, textual: bool) -> Iterator[Writer]:
    """A `Writer` of a file that appears whole or not at all.

    Raises:
      StorageError: it cannot be written.
    """
    with whole(path) as unfinished:
        writer = Writer(unfinished, num_buckets, textual)
        try:
            yield writer
        finally:
            writer.close()


def read_rows(path: AnyPath, bucket: int, num_buckets: int) -> list[pa.RecordBatch]:
    """The rows of a piece, which has some, that went to one bucket, in the order of the piece."""
    if isinstance(path, Path):
        with pa.memory_map(str(path)) as file:
            return _batches(file, bucket, num_buckets)
    with path.open("rb") as file:
        return _batches(pa.PythonFile(file, "r"), bucket, num_buckets)


def _batches(file: pa.NativeFile, bucket: int, num_buckets: int) -> list[pa.RecordBatch]:
    reader = pa.ipc.open_file(file)
    return [reader.get_batch(number) for number in range(bucket, reader.num_record_batches, num_buckets)]


def tokens_of(table: pa.Table, name: str) -> Tokens:
    """The "user" or "item" ids of rows."""
    words = table[f"{name}_word"].combine_chunks() if f"{name}_word" in table.column_names else None
    if isinstance(words, pa.ChunkedArray):
        words = pa.concat_arrays(words.chunks)
    return Tokens(table[name].to_numpy(), words)
