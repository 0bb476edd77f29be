"""Readers, one module per source: each turns what lies on disk into `Ratings` and knows nothing of what follows.

`READERS` maps a `dataset` name to its reader. `tfds:NAME` has `read_tfds(NAME, config)`; the sources that bring
their own split (SRNS, planted) are not ratings and are not here. A new source is a new module and one line below.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from pipelines.config import DataConfig
from pipelines.interactions import Ratings


def _reader(module: str) -> Callable[[Path, DataConfig], Ratings]:
    """`read` of `pipelines.readers.<module>`, imported when it is first called."""

    def read(path: Path, config: DataConfig) -> Ratings:
        return import_module(f"pipelines.readers.{module}").read(path.expanduser(), config)

    return read


READERS: dict[str, Callable[[Path, DataConfig], Ratings]] = {
    "ml-1m": _reader("movielens"),
    "ml-100k": _reader("movielens"),
    "ml-20m": _reader("movielens"),
    "ml-25m": _reader("movielens"),
    "ml-32m": _reader("movielens"),
    "adjacency": _reader("adjacency"),
    "inter": _reader("inter"),
    "table": _reader("table"),
}
"""Source name -> `read(path, config)`, where `path` is `Path(config.data_dir)`."""


def read_tfds(name: str, config: DataConfig) -> Ratings:
    """Reads the TensorFlow Datasets ratings set `name`; see `pipelines.readers.tfds_ratings.read`."""
    return import_module("pipelines.readers.tfds_ratings").read(name, config)
