"""Item titles, by raw item id."""

import os
import re
from collections.abc import Iterator

from gdns_tf.clients.errors import ServingError
from pipelines.errors import InputError
from pipelines.interactions import Interactions
from pipelines.paths import as_path
from pipelines.readers.files import Source

_MAX_BYTES = 4 << 30
"""Of titles: those of 40 million items."""
_INTEGER = re.compile("-?[0-9]{1,19}")


def titles_of(interactions: Interactions) -> dict[int | str, str]:
    """Raw item id -> title, of a data set; empty where it has no titles."""
    if interactions.titles is None:
        return {}
    return dict(zip(interactions.item_ids.tolist(), interactions.titles.tolist(), strict=True))


def read_titles(path: str | os.PathLike, item_id_type: str) -> dict[int | str, str]:
    """Raw item id -> title, from a file such as `assets.extra/titles.tsv` of an exported model.

    Args:
      path: the file, `id<TAB>title` a line.
      item_id_type: "int64" or "string", as the model's `describe` says.

    Raises:
      ServingError: the file cannot be read, or a line is not `id<TAB>title`.
    """
    try:
        return dict(_titles(Source(as_path(path)), item_id_type))
    except InputError as error:
        raise ServingError(str(error)) from error


def _titles(source: Source, item_id_type: str) -> Iterator[tuple[int | str, str]]:
    for number, line in source.lines(most=_MAX_BYTES):
        item, tab, title = line.rstrip("\n").rpartition("\t")  # a title holds none, an id may
        if not tab or (item_id_type == "int64" and not _INTEGER.fullmatch(item)):
            found = "there is no tab" if not tab else f"{item[:40]!r} is no id of this model"
            raise InputError(f"{found}; id<TAB>title is expected", path=source, line=number)
        yield (int(item) if item_id_type == "int64" else item), title
