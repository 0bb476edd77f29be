"""Item titles of an exported model: `assets.extra/titles.tsv`, `id<TAB>title` a line."""

from pathlib import Path

from gdns_tf.clients.errors import ServingError


def read_titles(path: str | Path, item_id_type: str) -> dict[int | str, str]:
    """Raw item id -> title.

    Args:
      path: the file.
      item_id_type: "int64" or "string", as the model's `describe` says.

    Raises:
      ServingError: the file cannot be read, or a line is not `id<TAB>title`.
    """
    titles = {}
    try:
        lines = Path(path).read_text("utf-8").removesuffix("\n").split("\n")  # as written: titles may hold \r or \u2028
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
