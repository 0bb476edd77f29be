"""Runs a study of many training runs.

    python -m gdns_tf.study --recipe=table3

The same command goes on with a study that was broken off.
"""

import importlib

from gdns_tf.command import Read, run_command
from gdns_tf.flagfiles import FOR_STUDIES
from gdns_tf.runs.interrupts import Interrupted
from gdns_tf.runs.lock import STUDY_LOCK, locked
from gdns_tf.studies.config import STUDIES, StudyConfig
from gdns_tf.studies.session import Session
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.infer import infer


def study(session: Session) -> None:
    """Runs, or goes on with, a study; its report is then in `session.folder`.

    Raises:
      InputError: the settings, the data or a folder cannot be used.
      gdns_tf.runs.interrupts.Interrupted: by SIGINT or SIGTERM; what was done stays done.
    """
    module, _, name = STUDIES[session.config.study].partition(":")
    try:
        run_study = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise InputError(f"a study needs the package {error.name}", remedy="pip install 'gdns_tf[study]'") from None
    try:
        with locked(session.folder, STUDY_LOCK):
            run_study(session)
    except (Interrupted, KeyboardInterrupt):  # the latter between two rounds of trials
        raise Interrupted("interrupted; the same command goes on from there") from None


def main(read: Read) -> None:
    session = Session(infer(read(DataConfig)), read(TrainConfig), read(StudyConfig), read.given(TrainConfig).keys())
    study(session)
    print(f"The report is {session.folder / 'report.md'}, and as one page {session.folder / 'report.html'}")


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [StudyConfig, TrainConfig, DataConfig], recipes_in=FOR_STUDIES)


if __name__ == "__main__":
    run()
