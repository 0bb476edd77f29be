"""Readers, one module per source: each turns what lies on disk into `Ratings`, or into a split where it brings one.

A reader's module has

    SETTINGS: the fields of `DataConfig` that it looks at, with `FILTERS` where it returns `Ratings`;
    read(path, config): the data, where `path` is `as_path(config.data_dir)`, or None where that is empty;
    sizes(config), where the numbers of users and items of its `Split` are known before it is read: these two;
    recognise(path), where its files can be told by looking: the `dataset` that they plainly are, or "". A reader that
    has it is named in `pipelines.infer`.

A new source is a new module and one line of `READERS`. Modules are imported when they are first asked for.
"""

from importlib import import_module
from types import ModuleType

from pipelines.errors import InputError
from pipelines.nearest import did_you_mean

READERS: dict[str, str] = {
    "planted": "planted",
    "planted_large": "planted_large",
    "srns": "srns",
    "ml-1m": "movielens",
    "ml-100k": "movielens",
    "ml-20m": "movielens",
    "ml-25m": "movielens",
    "ml-32m": "movielens",
    "adjacency": "adjacency",
    "inter": "inter",
    "table": "table",
    "saved": "saved",
    "ingested": "ingested",
    "tfds:": "tfds_ratings",
}
"""What `dataset` says -> the module here; a name that ends in a colon is followed by one of the source's own."""


def reader(dataset: str) -> ModuleType:
    """The module that reads a data set.

    Raises:
      InputError: no reader has this name.
    """
    source, colon, name = dataset.partition(":")
    if source + colon in READERS and bool(colon) == bool(name):
        return import_module(f"pipelines.readers.{READERS[source + colon]}")
    known = [f"{each}NAME" if each.endswith(":") else each for each in READERS]
    raise InputError(
        f"`dataset`={dataset} is not known{did_you_mean(dataset.strip().lower(), known)}",
        remedy=f"Choose one of {', '.join(known)} (such as tfds:movielens/1m-ratings).",
    )
