"""The folder of a search: the chosen model's run, and beside it the trials, what Optuna knows of them, the report."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from gdns_tf.runs.run_folder import RunFolder
from pipelines.errors import InputError
from pipelines.paths import is_remote


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
        self._lock = self.path / "study.lock"
        self._check(overwrite)

    def trial(self, number: int) -> RunFolder:
        """The run's folder of a trial."""
        return RunFolder(self.trials / f"{number:04d}")

    def _check(self, overwrite: bool) -> None:
        if self.study.exists() or not self.path.exists():
            return
        if self.run.flags.exists():
            if not overwrite:
                raise InputError(
                    "the folder holds a run that was not tuned",
                    path=self.path,
                    remedy="Choose another `output_dir`, or start afresh with `overwrite`.",
                )
        elif not self.path.is_dir() or any(path != self._lock for path in self.path.iterdir()):
            raise InputError(
                "the folder is not empty and holds no search", path=self.path, remedy="Choose another `output_dir`."
            )

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Makes the folder, for this process alone while the block lasts.

        Raises:
          InputError: it cannot be written, or another process is at it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = self._lock.open("w")
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror or error}", path=self.path, remedy="Choose another `output_dir`."
            ) from None
        with lock:
            try:
                import fcntl  # of Unix alone

                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except ImportError:
                pass
            except OSError:
                raise InputError(
                    "another process is tuning in this folder", path=self.path, remedy="Wait for it, or stop it."
                ) from None
            yield

    def clear(self) -> None:
        """Removes the search and the run, but for the run's `flags.txt`, which the next one replaces."""
        for name in ("study.db", "study.db-journal"):
            (self.path / name).unlink(missing_ok=True)
        for path in (self.report, self.plot):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.trials, ignore_errors=True)
        self.run.clear()
