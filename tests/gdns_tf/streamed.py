"""A planted data set in memory and the same in shards."""

from pipelines.config import DataConfig
from pipelines.ingested import save_shards
from pipelines.readers import planted
from pipelines.streamed import StreamedSplit
from pipelines.streamed_folder import StreamedFolder

PLANTED = DataConfig(dataset="planted", planted_users=60, planted_items=150)
SPLIT = planted.generate(PLANTED)


def streamed_at(folder, num_shards: int = 4) -> StreamedSplit:
    """The data set in shards in a folder, which is made."""
    save_shards(SPLIT, folder, PLANTED, num_shards)
    return StreamedSplit(StreamedFolder(folder))
