"""The folder of an ingested data set, as `python -m pipelines.ingest` and `Dataset.save_shards` write it."""

from pipelines.config import DataConfig
from pipelines.ingested import MANIFEST
from pipelines.paths import AnyPath
from pipelines.readers.files import require_given
from pipelines.streamed import StreamedSplit
from pipelines.streamed_folder import StreamedFolder

SETTINGS = ("data_dir",)


def recognise(path: AnyPath) -> str:
    """The data set's name if this is such a folder; "" if not."""
    return "ingested" if path.is_dir() and (path / MANIFEST).exists() else ""


def read(path: AnyPath | None, config: DataConfig) -> StreamedSplit:
    """Opens the folder: its interactions are read by and by, a block of users at a time.

    Raises:
      InputError: there is no such folder, it is unfinished, damaged or truncated.
    """
    require_given(path, "a folder of an ingested data set")
    return StreamedSplit(StreamedFolder(path), config)
