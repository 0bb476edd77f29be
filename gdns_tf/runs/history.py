"""`history.csv`: a row for each validation. A run's checkpoint holds it too, from which it is made again."""

import contextlib
import csv
import os
from collections.abc import Mapping, Sequence

import numpy as np

from gdns_tf.runs.callbacks import Callback, RunView, Validation
from pipelines.atomic import write_text, writing
from pipelines.notices import notices
from pipelines.paths import as_path

_FIRST = ["epoch", "seconds", "loss"]


class History(Callback):
    """Writes the columns epoch, seconds, loss and the metrics; a resumed run drops the rows that it will do again."""

    def on_start(self, run: RunView) -> None:
        write_text(run.folder.history, run.history or header(run.metric_names))

    def on_validation(self, run: RunView, validation: Validation) -> None:
        with writing(run.folder.history), run.folder.history.open("a") as file:
            file.write(row(validation))


def header(metric_names: Sequence[str]) -> str:
    """The first line."""
    return ",".join([*_FIRST, *metric_names]) + "\n"


def row(validation: Validation) -> str:
    """The line of a validation."""
    return _line([validation.epoch, validation.seconds, validation.loss, *validation.metrics.values()])


def _line(values: Sequence[float]) -> str:
    return ",".join(f"{value:.6g}" for value in values) + "\n"


def write_history(path: str | os.PathLike, columns: Mapping[str, np.ndarray]) -> None:
    """Writes what `read_history` reads."""
    write_text(path, ",".join(columns) + "\n" + "".join(map(_line, zip(*columns.values(), strict=True))))


def read_history(path: str | os.PathLike, expected: int | None = None) -> dict[str, np.ndarray]:
    """The columns of a `history.csv`: name -> [num_validations] float64; empty where there is no file or no row.

    Args:
      path: the file, on this machine or in an object store.
      expected: how many validations there were; None: that is not known. If rows are missing or damaged it is said.
    """
    path = as_path(path)
    text = ""
    with contextlib.suppress(OSError):  # as of no file
        text = path.read_bytes().decode(errors="replace")
    names, *rows = list(csv.reader(text.replace("\0", "?").splitlines())) or [[]]
    values = [found for found in map(_numbers, rows) if len(found) == len(names) and names[: len(_FIRST)] == _FIRST]
    if len(values) < (len(rows) if expected is None else expected):
        notices.warning(
            "%s: %d of %d validations can be read. The command that trained the run writes it anew, where its "
            "checkpoint is still there.",
            *(path, len(values), len(rows) if expected is None else expected),
        )
    return dict(zip(names, np.array(values).T, strict=True)) if values else {}


def _numbers(cells: Sequence[str]) -> list[float]:
    """Of a row; empty where one is damaged."""
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return []
