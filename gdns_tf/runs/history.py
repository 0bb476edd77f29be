"""`history.csv`: a row for each validation."""

import csv
import os
from collections.abc import Mapping

import numpy as np

from gdns_tf.runs.callbacks import Callback, RunView, Validation
from pipelines.atomic import write_text
from pipelines.paths import as_path


class History(Callback):
    """Writes the columns epoch, seconds, loss and the metrics; a resumed run drops the rows that it will do again."""

    def on_start(self, run: RunView) -> None:
        path, columns = run.folder.history, ["epoch", "seconds", "loss", *run.metric_names]
        rows = []
        if path.exists():
            with path.open(newline="") as file:
                whole = [row for row in csv.DictReader(file) if all(row.get(column) for column in columns)]
            rows = [row for row in whole if row["epoch"].isdigit() and int(row["epoch"]) <= run.epoch]
        lines = [",".join(columns)] + [",".join(row[column] for column in columns) for row in rows]
        write_text(path, "\n".join(lines) + "\n")

    def on_validation(self, run: RunView, validation: Validation) -> None:
        row = [validation.epoch, validation.seconds, validation.loss, *validation.metrics.values()]
        with run.folder.history.open("a") as file:
            file.write(",".join(f"{value:.6g}" for value in row) + "\n")


def write_history(path: str | os.PathLike, columns: Mapping[str, np.ndarray]) -> None:
    """Writes what `read_history` reads."""
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(f"{value:.6g}" for value in row) for row in rows)]
    write_text(path, "\n".join(lines) + "\n")


def read_history(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The columns of a `history.csv`: name -> [num_validations] float64; empty where there is no file or no row."""
    path = as_path(path)
    if not path.exists():
        return {}
    rows = list(csv.DictReader(path.read_text().splitlines()))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]} if rows else {}
