"""What all tasks of an ingestion know."""

from dataclasses import dataclass

from pipelines.config import DataConfig
from pipelines.ingest.results import Result
from pipelines.paths import AnyPath, as_path


@dataclass(frozen=True)
class Job:
    """Where the tasks' files lie, and what the data is to become."""

    folder: str
    """Of the result."""
    work: str
    """The folder within it that goes when all is done."""
    config: DataConfig
    num_buckets: int = 1

    def path(self, *names: str) -> AnyPath:
        """A file of the folder of work."""
        path = as_path(self.work)
        for name in names:
            path = path / name
        return path

    def result(self, stage: str, number: int = 0) -> Result:
        """What a task handed on."""
        return Result.read(self.path(stage, file_name(number)))

    def keep(self, stage: str, result: Result, number: int = 0) -> None:
        """Hands on what was decided."""
        result.write(self.path(stage, file_name(number)))


def file_name(number: int, ending: str = ".npz") -> str:
    """The file of a task, or of a bucket."""
    return f"{number:05d}{ending}"
