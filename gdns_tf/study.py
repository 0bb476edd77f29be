"""Runs a study of many training runs: `python -m gdns_tf.study --flagfile=configs/studies/table3.flags`."""

import importlib
import sys

from absl import app, logging

from gdns_tf.flags import define, from_flags
from gdns_tf.runs.interrupts import Interrupted
from gdns_tf.studies.config import StudyConfig
from gdns_tf.studies.session import Session
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError


def study(session: Session) -> None:
    """Runs, or goes on with, a study; its report is then in `session.folder`.

    Raises:
      InputError: the flags, the data or a folder cannot be used.
      gdns_tf.runs.interrupts.Interrupted: by SIGINT or SIGTERM; what was done stays done.
    """
    try:
        module = importlib.import_module(MODULES[session.config.study])
    except ImportError as error:
        raise InputError(f"a study needs the package {error.name}", remedy="pip install -e '.[study]'") from None
    module.run(session)
    print(f"The report is {session.folder / 'report.md'}")


MODULES = {
    "table3": "gdns_tf.studies.table3",
    "ablation": "gdns_tf.studies.ablation",
    "false_negatives": "gdns_tf.studies.false_negatives_report",
    "group_size": "gdns_tf.studies.sweeps",
    "smoothing": "gdns_tf.studies.sweeps",
    "candidates": "gdns_tf.studies.sweeps",
    "grid": "gdns_tf.studies.grid",
}


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        sys.exit(f"error: {argv[1]!r} is no flag; flags begin with --")
    try:
        study(Session(from_flags(DataConfig), from_flags(TrainConfig), from_flags(StudyConfig)))
    except (Interrupted, KeyboardInterrupt):
        print("interrupted; the same command goes on from there", file=sys.stderr)
        sys.exit(130)
    except InputError as error:
        sys.exit(f"error: {error}")


def run() -> None:
    """The entry point of the command line."""
    define(DataConfig)
    define(TrainConfig)
    define(StudyConfig)
    logging.set_verbosity(logging.WARNING)
    app.run(main)


if __name__ == "__main__":
    run()
