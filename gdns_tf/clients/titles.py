"""Item titles, by raw item id."""

import os

from gdns_tf.clients.errors import ServingError
from pipelines.interactions import Interactions
from pipelines.paths import as_path


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
    titles = {}
    try:
        lines = as_path(path).read_text("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise ServingError(f"{path}: is not UTF-8 text: {error}") from error
    except OSError as error:
        raise ServingError(f"{path}: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        item, tab, title = line.rpartition("\t")  # a title holds none, an id may
        try:
            if not tab:
                raise ValueError("there is no tab")
            titles[int(item) if item_id_type == "int64" else item] = title
        except ValueError as error:
            raise ServingError(f"{path}, line {number}: {error}; id<TAB>title is expected") from error
    return titles
