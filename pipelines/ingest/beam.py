"""Has Apache Beam run the tasks of a stage, on whatever runner its options name."""

import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pipelines.atomic import write_text
from pipelines.errors import InputError, one_line
from pipelines.ingest.job import Job, file_name
from pipelines.ingest.results import Result
from pipelines.notices import notices
from pipelines.paths import AnyPath

_LOCAL = "DirectRunner"
_LOCAL_PYTHON = "FnApiRunner"
"""What the DirectRunner comes to in Python; by its own name Beam would first try to download a faster one."""
_ERROR = ".error"
_SECONDS_BETWEEN_LOOKS = 0.2


class Bar(Protocol):
    def update(self, number: int) -> object: ...


Progress = Callable[[str, int], AbstractContextManager[Bar]]
"""From what is done and how many tasks that takes to a bar that counts them."""


class NoBar:
    """A bar that nobody sees."""

    def update(self, number: int) -> None:
        pass


def no_progress(_title: str, _total: int) -> AbstractContextManager[Bar]:
    """No bars at all."""
    return contextlib.nullcontext(NoBar())


def check_options(arguments: Sequence[str]) -> None:
    """Raises InputError where Apache Beam is not installed, or does not know one of its options."""
    try:
        with _quiet():
            from apache_beam.options.pipeline_options import PipelineOptions
            from apache_beam.runners.runner import create_runner
    except ImportError as error:
        raise InputError(
            f"ingestion needs Apache Beam, which cannot be imported ({error})",
            remedy="Install it: pip install 'gdns_tf[ingest]'.",
        ) from None
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> None:
            raise InputError(f"an option of Apache Beam cannot be read: {message}", remedy="See --help.")

    parser = Parser(add_help=False, allow_abbrev=False)
    for each in _subclasses(PipelineOptions):
        with contextlib.suppress(argparse.ArgumentError):  # which an option that two of them have makes
            each._add_argparse_args(parser)
    known, unknown = parser.parse_known_args(list(arguments))
    if unknown:
        raise InputError(
            f"{unknown[0]} is a flag neither of ingestion nor of Apache Beam", remedy="See --help and Beam's own page."
        )
    with _quiet():
        try:
            create_runner(known.runner or _LOCAL)
        except (ValueError, ImportError) as error:
            raise InputError(f"Apache Beam has no such runner ({error})", remedy="Set --runner to another.") from None


def _subclasses(cls: type) -> Iterator[type]:
    for each in cls.__subclasses__():
        yield each
        yield from _subclasses(each)


@dataclass(frozen=True)
class _Task:
    """What is run on a worker."""

    function: Callable[..., Result]
    job: Job
    stage: str
    number: int
    arguments: tuple

    @property
    def path(self) -> AnyPath:
        return self.job.path(self.stage, file_name(self.number))

    def run(self) -> None:
        """Writes the result, or the error that the input is to blame for."""
        if self.path.exists():  # a runner may try again what is done
            return
        told: list[tuple[int, str]] = []
        try:
            with _diverted(told):
                result = self.function(self.job, self.number, *self.arguments)
        except InputError as error:
            content = {"message": str(error), "path": error.path, "line": error.line}
            write_text(self.job.path(self.stage, file_name(self.number, _ERROR)), json.dumps(content))
            return
        replace(result, facts={**result.facts, "notices": told}).write(self.path)


class _Diversion(logging.Filter):
    """Keeps what tasks of this process tell, for the process that leads to tell it in order, and once."""

    def __init__(self) -> None:
        super().__init__()
        self.of_thread = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        told = getattr(self.of_thread, "told", None)
        if told is not None:
            told.append((record.levelno, record.getMessage()))
        return told is None


_DIVERSION = _Diversion()


@contextlib.contextmanager
def _diverted(told: list[tuple[int, str]]) -> Iterator[None]:
    if _DIVERSION not in notices.filters:
        notices.addFilter(_DIVERSION)
    level = notices.level
    notices.setLevel(logging.INFO)  # the leading process knows who wants what
    _DIVERSION.of_thread.told = told
    try:
        yield
    finally:
        _DIVERSION.of_thread.told = None
        notices.setLevel(level)


class Stages:
    """Runs stage after stage; what was done before, by a process that was killed, is not done again."""

    def __init__(self, job: Job, arguments: Sequence[str] = (), progress: Progress = no_progress) -> None:
        """Args:
        job: of the ingestion.
        arguments: options of Apache Beam, as its command line has them.
        progress: makes the bar of a stage.
        """
        self.job, self._arguments, self._progress = job, list(arguments), progress

    def run(
        self,
        stage: str,
        function: Callable[..., Result],
        arguments: Sequence[tuple],
        title: str,
        *,
        in_processes: bool = False,
    ) -> list[Result]:
        """Runs a task for each of the arguments, numbered from 0, and waits for all of them.

        Args:
          stage: the folder of the results.
          function: of the job, the number and the arguments: what a task does.
          arguments: of each task.
          title: of the bar.
          in_processes: whether tasks are Python rather than NumPy, so that local threads would wait for each other.

        Returns:
          The results in the order of the arguments.

        Raises:
          InputError: what the first of the tasks that failed raised; or the runner gave up.
        """
        self.make(stage)
        tasks = [_Task(function, self.job, stage, number, each) for number, each in enumerate(arguments)]
        folder = self.job.path(stage)
        names = _names(folder)
        for name in names:
            if name.endswith(_ERROR):
                (folder / name).unlink()
        pending = [task for task in tasks if file_name(task.number) not in names]
        with self._progress(title, len(tasks)) as bar:
            bar.update(len(tasks) - len(pending))
            if pending:
                self._run(pending, folder, bar, in_processes)
        try:
            results = [self.job.result(stage, task.number) for task in tasks]
        except FileNotFoundError as error:
            raise InputError(
                f"a task of stage {stage} left no result ({error})",
                path=folder,
                remedy="Set `output_dir` to a place that all workers of the runner reach.",
            ) from None
        for level, message in dict.fromkeys(tuple(each) for result in results for each in result.facts["notices"]):
            notices.log(level, message)
        return results

    def make(self, *stages: str) -> None:
        """Makes folders for what stages write."""
        for stage in stages:
            if isinstance(folder := self.job.path(stage), Path):
                folder.mkdir(parents=True, exist_ok=True)

    def _run(self, tasks: list[_Task], folder: AnyPath, bar: Bar, in_processes: bool) -> None:
        failure: list[BaseException] = []

        def work() -> None:
            try:
                _run_by_beam(tasks, self._options(len(tasks), in_processes))
            except BaseException as error:
                failure.append(error)

        thread = threading.Thread(target=work, daemon=True)
        before = len(_names(folder))
        seen = 0
        thread.start()
        while thread.is_alive():
            thread.join(_SECONDS_BETWEEN_LOOKS)
            now = sum(not name.startswith(".") for name in _names(folder)) - before
            bar.update(max(now - seen, 0))
            seen = max(now, seen)
        errors = sorted(name for name in _names(folder) if name.endswith(_ERROR))
        if errors:
            content = json.loads((folder / errors[0]).read_text())
            error = InputError(content["message"])
            error.path, error.line = content["path"], content["line"]
            raise error
        if failure:
            if not isinstance(failure[0], Exception) or isinstance(failure[0], InputError):
                raise failure[0]
            last = one_line(str(failure[0]).strip().splitlines()[-1] if str(failure[0]).strip() else repr(failure[0]))
            raise InputError(
                f"Apache Beam's runner gave up: {last}", remedy="The same command goes on where it was."
            ) from failure[0]

    def _options(self, num_tasks: int, in_processes: bool) -> list[str]:
        """Beam's options, with as many local workers as there are cores where nothing is said of them."""
        from apache_beam.options.pipeline_options import StandardOptions

        options = _options_of(self._arguments)
        if (options.view_as(StandardOptions).runner or _LOCAL) != _LOCAL:
            return self._arguments
        added, cores = ["--default_sdk_harness_log_level=ERROR"], len(os.sched_getaffinity(0))
        said = any(each.startswith(("--direct_num_workers", "--direct_running_mode")) for each in self._arguments)
        if not said and num_tasks > 1 and cores > 1:
            mode = "multi_processing" if in_processes else "multi_threading"
            added += [f"--direct_num_workers={min(cores, num_tasks)}", f"--direct_running_mode={mode}"]
        return [*added, *self._arguments, "--runner", _LOCAL_PYTHON]


def _options_of(arguments: Sequence[str]) -> object:
    from apache_beam.options.pipeline_options import PipelineOptions

    return PipelineOptions(list(arguments))


def _run_by_beam(tasks: list[_Task], arguments: Sequence[str]) -> None:
    with _quiet():
        import apache_beam

        options = _options_of(arguments)
        runner = _local_runner(options) if arguments[-1:] == [_LOCAL_PYTHON] else None
        pipeline = apache_beam.Pipeline(runner, options)
        _ = pipeline | "Tasks" >> apache_beam.Create(tasks, reshuffle=True) | "Run" >> apache_beam.Map(_run_task)
        pipeline.run().wait_until_finish()


def _local_runner(options: object) -> object:
    """Beam's local runner as its DirectRunner makes it: its workers get the options, and so are quiet."""
    from apache_beam.portability.api import beam_provision_api_pb2
    from apache_beam.runners.portability.fn_api_runner import fn_runner
    from apache_beam.runners.portability.portable_runner import JobServiceHandle

    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    info = beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
    return fn_runner.FnApiRunner(provision_info=fn_runner.ExtendedProvisionInfo(info))


def _run_task(task: _Task) -> None:
    task.run()


def _names(folder: AnyPath) -> list[str]:
    """The files of a folder; none where it is not there, as in stores that have no empty ones."""
    try:
        return [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what Beam logs of itself; its warnings speak of packages for clouds that nobody asked for."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    silent = logging.NullHandler()
    root.addHandler(silent)  # else the first warning gives it one that prints
    logger = logging.getLogger("apache_beam")
    former, root.level = logger.level, max(level, logging.ERROR)
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
        logger.setLevel(former)
        for handler in list(root.handlers):
            if handler not in handlers:
                root.removeHandler(handler)
