"""RecBole's atomic files: `NAME.inter`, and titles from `NAME.item` beside it.

The first line of an `.inter` names tab-separated columns with their types (`user_id:token`, `item_id:token`,
`rating:float`, `timestamp:float`), in any order; others are ignored. Ids follow the rule of `pipelines.readers.ids`.
"""

from collections.abc import Iterator

import numpy as np

from pipelines.config import FILTERS, DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Ratings
from pipelines.notices import notices
from pipelines.paths import AnyPath
from pipelines.readers.delimited import Format, peek, read_columns
from pipelines.readers.files import Source, require_given
from pipelines.readers.kinds import RATING, SECONDS, TEXT, TOKEN
from pipelines.readers.usual_columns import listed

SETTINGS = ("data_dir", *FILTERS)
_KINDS = {"user_id": TOKEN, "item_id": TOKEN, "rating": RATING, "timestamp": SECONDS}
_MAX_DIGITS = 20
"""Of an id that may be a number: int64's largest has 19."""
_TITLE_NAMES = ("title", "movie_title", "item_title", "item_name", "book_title", "product_title", "name")


def recognise(path: AnyPath) -> str:
    """The data set's name if this is such a file or its folder; "" if not."""
    if path.is_dir():
        return "inter" if any(file.suffix == ".inter" for file in path.iterdir()) else ""
    return "inter" if path.suffix == ".inter" else ""


def read(path: AnyPath | None, config: DataConfig) -> Ratings:
    """Reads an `.inter` file, or the only one in the folder `path`.

    Returns:
      `Ratings` with int64 or text ids; grades, times and titles where there are any.

    Raises:
      InputError: not exactly one file, no user or item column, or a malformed line.
    """
    require_given(path, "an .inter file or the folder that holds it")
    source, form = Source(_only_file(path)), Format("\t")
    header = next(iter(peek(source, form, 1)), [])
    full_names = {column.partition(":")[0]: column for column in header}
    wanted = {full_names.get(name, name): kind for name, kind in _KINDS.items() if name in full_names or kind is TOKEN}
    found = read_columns(source, form, wanted)
    columns = {name: found.get(full_names.get(name)) for name in _KINDS}
    users, items, grades, timestamps = columns.values()
    titles = _titles(Source(source.path.with_suffix(".item")), numbers=items.dtype == np.int64)
    return Ratings(users, items, grades, timestamps, dict(titles), source=str(source))


def _only_file(path: AnyPath) -> AnyPath:
    if not path.is_dir():
        return path
    files = sorted((file for file in path.iterdir() if file.suffix == ".inter"), key=str)
    if len(files) != 1:
        raise InputError(
            f"{len(files)} .inter files in this folder {[file.name for file in files[:10]]}, one is needed",
            path=path,
            remedy="Set `data_dir` to the file itself.",
        )
    return files[0]


def _titles(source: Source, numbers: bool) -> Iterator[tuple[int | str, str]]:
    """Item ids, as numbers where the interactions have them so, and titles; none where there is no file of them."""
    if not source.path.exists():
        return
    form = Format("\t")
    header, *first_row = peek(source, form, 2) or [[]]
    names = [column.partition(":")[0] for column in header]
    title = next((names.index(name) for name in _TITLE_NAMES if name in names), None)
    if title is None:
        notices.info(f"{source}: no column of titles among {listed(names)}: items are shown by id.")
        return
    if "item_id" not in names:
        raise InputError(
            f"no column item_id; there are {listed(names)}", path=source, line=1, remedy="Correct the header."
        )
    if not first_row:
        return
    columns = read_columns(source, form, {header[names.index("item_id")]: TEXT, header[title]: TEXT}).values()
    words, titles = (column.dictionary.to_pylist() for column in columns)
    items, titles_of = (column.indices.to_pylist() for column in columns)
    ids = [int(word) if numbers and word.isdecimal() and len(word) < _MAX_DIGITS else word for word in words]
    for item, of_item in zip(items, titles_of, strict=True):
        yield ids[item], titles[of_item]
