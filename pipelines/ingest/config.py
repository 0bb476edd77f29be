"""Where the result of an ingestion goes; each field is a flag of the same name."""

from dataclasses import dataclass

from pipelines.checks import Settings
from pipelines.config import flag
from pipelines.errors import InputError

MOST_SHARDS = 99_999


@dataclass(frozen=True)
class IngestConfig(Settings):
    """Where to write, and into how many files."""

    output_dir: str = flag(
        "",
        "Folder to write to, local or gs://, s3://, az://; workers on other machines must reach it. Required.",
        main=True,
        path=True,
    )
    shards: int = flag(
        0,
        "Files that the users go to; 0: one for every 65,536 users.",
        main=True,
        at_least=0,
        at_most=MOST_SHARDS,
    )
    overwrite: bool = flag(False, "Write anew over a data set that is in the folder, or an unfinished one.", main=True)

    def check(self) -> None:
        if not self.output_dir:
            raise InputError("`output_dir` is not set", remedy="Name a folder, such as data/clicks.")
