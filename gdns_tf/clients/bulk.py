"""Recommendations for all users of a model, into one file that appears whole or not at all."""

import contextlib
import csv
import itertools
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from gdns_tf.clients.results import Recommendations
from gdns_tf.clients.signatures import Signatures
from gdns_tf.clients.spreadsheets import escaped
from gdns_tf.progress_bar import progress_bar
from pipelines.atomic import whole
from pipelines.errors import InputError

_COLUMNS = ("user_id", "rank", "item_id", "score", "title")
_ROW_GROUP = 100_000
"""Rows from which a row group of Parquet is written: small ones are slow to read."""
Write = Callable[[Recommendations], None]


def recommend_everyone(
    signatures: Signatures,
    user_ids: Path,
    output: Path,
    k: int,
    batch_size: int,
    *,
    exclude_seen: bool = True,
    exclude: Collection = (),
    restrict_to: Collection = (),
    mmr: float = 0.0,
    probes: int = 0,
) -> int:
    """Asks for the users in batches, and holds one batch in memory.

    `.parquet` and `.csv` have a row for each recommended item, with the columns user_id, rank (from 1), item_id, score
    and title (null or empty where there is none); `.jsonl` has a line for each user. In `.csv`, text that a spreadsheet
    would take for a formula has an apostrophe in front: see `gdns_tf.clients.spreadsheets`.

    Args:
      signatures: the model.
      user_ids: a file with a raw id a line.
      output: the file to write; its name ends in one of WRITERS.
      k: items for each user.
      batch_size: users a request.
      exclude_seen, exclude, restrict_to, mmr, probes: as for `Signatures.recommend`.

    Returns:
      How many users there were.

    Raises:
      ServingError: the model does not answer.
      InputError: the file of ids is damaged.
      OSError: a file cannot be read or written.
    """
    with user_ids.open("rb") as lines:
        total = sum(1 for _ in lines)
    options = {
        "exclude_seen": exclude_seen,
        "exclude": exclude,
        "restrict_to": restrict_to,
        "mmr": mmr,
        "probes": probes,
    }
    with (
        whole(output) as unfinished,
        WRITERS[output.suffix](unfinished, signatures) as write,
        user_ids.open("rb") as file,
        progress_bar(total=total, unit=" users") as bar,
    ):
        ids = _ids(file, user_ids)
        while batch := list(itertools.islice(ids, batch_size)):
            write(signatures.recommend(batch, k, **options))
            bar.update(len(batch))
    return total


def _ids(lines: Iterable[bytes], path: Path) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        try:
            yield line.removesuffix(b"\n").decode()
        except UnicodeDecodeError:
            raise InputError(
                "an id that is not UTF-8", path=path, line=number, remedy="Export the model again."
            ) from None


@contextlib.contextmanager
def _parquet(path: Path, signatures: Signatures) -> Iterator[Write]:
    import pyarrow as pa  # here, since it takes a while, and the other kinds do without
    import pyarrow.parquet

    types = {"int64": pa.int64(), "string": pa.string()}
    user, item = types[signatures.user_id_type], types[signatures.item_id_type]
    schema = pa.schema(zip(_COLUMNS, (user, pa.int32(), item, pa.float32(), pa.string()), strict=True))
    with pa.parquet.ParquetWriter(path, schema) as writer:
        pending: list[pa.Table] = []

        def flush() -> None:
            writer.write_table(pa.concat_tables(pending))
            pending.clear()

        def write(answer: Recommendations) -> None:
            columns = list(zip(*_rows(answer), strict=True)) or [()] * len(_COLUMNS)
            pending.append(pa.table(dict(zip(_COLUMNS, columns, strict=True)), schema=schema))
            if sum(table.num_rows for table in pending) >= _ROW_GROUP:
                flush()

        yield write
        if pending:
            flush()


@contextlib.contextmanager
def _csv(path: Path, _: Signatures) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        # All text in quotes: without, Python leaves a carriage return bare, which ends the row for readers.
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(_COLUMNS)

        def cells(row: tuple) -> list:
            return [escaped(value) if isinstance(value, str) else value for value in row]

        yield lambda answer: writer.writerows(map(cells, _rows(answer)))


@contextlib.contextmanager
def _json_lines(path: Path, _: Signatures) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:

        def write(answer: Recommendations) -> None:
            for row in answer:
                items = [
                    {"item_id": entry.item, "score": entry.score}
                    | ({} if entry.title is None else {"title": entry.title})
                    for entry in row.entries
                ]
                line = {"user_id": row.query, "known_user": row.known, "items": items}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")

        yield write


WRITERS = {".parquet": _parquet, ".csv": _csv, ".jsonl": _json_lines}
"""What recommendations can be written as, by the end of the file's name."""


def _rows(answer: Recommendations) -> Iterator[tuple]:
    """A tuple of _COLUMNS for each recommended item."""
    for row in answer:
        for rank, entry in enumerate(row.entries, start=1):
            yield row.query, rank, entry.item, entry.score, entry.title
