"""The folder of a search: the chosen model's run, and beside it the trials, what Optuna knows of them, the report."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from gdns_tf.runs.lock import STUDY_LOCK, check_free, locked
from gdns_tf.runs.run_folder import RunFolder
from pipelines.atomic import check_writable, is_temporary, remove
from pipelines.errors import InputError, StorageError
from pipelines.paths import is_remote

_FILES = ("study.db", "study.db-journal", "report.md", "report.html", "tuning.png")
"""What a search writes beside its trials and the run. The first is what it is gone on with, and goes first."""


class TuningFolder:
    """`study.db`, `trials/0000/` and so on, each a run's folder, `report.md`, `report.html` and `tuning.png`; and the
    files of a run.

    Raises:
      InputError: it is not named, in an object store, or holds something else.
    """

    def __init__(self, output_dir: str, *, overwrite: bool = False) -> None:
        """Args:
        output_dir: the folder, which is made.
        overwrite: whether the search or run that it holds goes.
        """
        if not output_dir:
            raise InputError(
                "`output_dir` is not set", remedy="Name a folder for the search, such as `output_dir`=runs/tuned."
            )
        if is_remote(output_dir):
            raise InputError(
                "tuning needs a folder of this machine: its database cannot lie in an object store",
                path=output_dir,
                remedy="Choose a local `output_dir`, and copy it or Model.save the model to the store at the end.",
            )
        self.run = RunFolder(output_dir)
        self.path: Path = self.run.path
        self.study = self.path / "study.db"
        self.trials = self.path / "trials"
        self.report = self.path / "report.md"
        self.plot = self.path / "tuning.png"
        self._check(overwrite)

    def trial(self, number: int) -> RunFolder:
        """The run's folder of a trial."""
        return RunFolder(self.trials / f"{number:04d}")

    def _check(self, overwrite: bool) -> None:
        check_free(self.path, STUDY_LOCK)
        check_writable(self.path, "output_dir")
        if self.study.exists() or not self.path.exists():
            return
        if self.run.flags.exists():
            if not overwrite:
                raise InputError(
                    "the folder holds a run that was not tuned",
                    path=self.path,
                    remedy="Choose another `output_dir`, or start afresh with `overwrite`.",
                )
            return
        found = self._found()
        is_rest_of_a_search = self.trials.name in found and found <= {*_FILES, self.trials.name} | self.run.names
        if is_rest_of_a_search and not overwrite:
            raise InputError(
                f"the folder holds {', '.join(sorted(found))} of a search, but not its {self.study.name}",
                path=self.path,
                remedy="Choose another `output_dir`, or start afresh with `overwrite`.",
            )
        if found and not is_rest_of_a_search:
            raise InputError(
                "the folder is not empty and holds no search", path=self.path, remedy="Choose another `output_dir`."
            )

    def _found(self) -> set[str]:
        """The names of what is there, but for what a kill may have left that had come to nothing."""
        names = {path.name for path in self.path.iterdir()}
        return {name for name in names if not self.run.is_leftover(name) and not is_temporary(name, of=_FILES)}

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Makes the folder, for this process alone while the block lasts. A search that was refused leaves nothing.

        Raises:
          InputError: it cannot be written, or another process is at it.
        """
        with locked(self.path, STUDY_LOCK):
            is_new = not self._found()
            try:
                yield
            except StorageError:
                raise
            except InputError:
                if is_new and not self.run.flags.exists() and not any(self.trials.glob("*/checkpoints/*")):
                    self.clear()
                raise

    def clear(self, *, keep_data: bool = False) -> None:
        """Removes the search and the run, but for the run's `flags.txt`, which the next one replaces.

        Args:
          keep_data: as for `RunFolder.clear`.
        """
        for path in (*(self.path / name for name in _FILES), self.trials):
            remove(path)
        self.run.clear(keep_data=keep_data)
