"""What a file or folder is, where nobody says so: which reader, and of a table which columns.

Only what is plain is inferred. What was inferred becomes part of the settings, so that a run's flags name it, and a run
that is repeated by them does not infer again.
"""

from dataclasses import replace
from importlib import import_module
from itertools import islice

from pipelines.config import COLUMNS, DEFAULT_COLUMNS, DataConfig
from pipelines.errors import InputError
from pipelines.notices import notices
from pipelines.paths import AnyPath, as_path
from pipelines.readers import READERS
from pipelines.readers.files import Source, reading, require_given
from pipelines.readers.usual_columns import listed, overlooked, recognised

_RECOGNISERS = ("saved", "ingested", "srns", "movielens", "inter", "table", "adjacency")
"""Readers that know their own files: modules with `recognise(path)`, which returns a `dataset`, or "". The first that
does counts: a folder of MovieLens holds tables, too."""
PLANTED = "planted"
"""The data set where nothing is said."""
_SHOWN = 60
"""Characters of a first line that an error shows."""


def infer(config: DataConfig) -> DataConfig:
    """The settings with what they leave open: the data set, and the columns of a table.

    Without `dataset` and `data_dir` it is the planted set. With `data_dir` alone it is what the file or folder plainly
    is, and of a table the columns with usual names are taken. With `dataset`=table alone `user_id` and `item_id` are
    taken where they are there, and nothing else is; where one of them is not, columns are told by usual names.

    Args:
      config: the settings; those that are set stay. Where nothing is left open no file is looked at.

    Raises:
      InputError: there is no such file or folder; it is not plain what it is, or which column is what. The message says
        what was seen, and what to set.

    Example:
      infer(DataConfig(data_dir="ratings.csv"))  # dataset="table", user_column="userId", ...
    """
    with reading(config.data_dir):
        return _inferred(config)


def _inferred(config: DataConfig) -> DataConfig:
    if config.dataset:
        return _with_columns_of_a_table(config) if config.dataset == "table" else replace(config, **_default(config))
    if not config.data_dir:
        config = replace(config, dataset=PLANTED)
        return replace(config, **_default(config))
    path = as_path(config.data_dir)
    require_given(path, "the file or folder of the data")
    for module in _RECOGNISERS:
        if dataset := import_module(f"pipelines.readers.{module}").recognise(path):
            break
    else:
        known = ", ".join(name for name in READERS if name != PLANTED and not name.endswith(":"))
        raise InputError(
            f"it is not plain how to read this: {_seen(path)}",
            path=path,
            remedy=f"Set `dataset` to what it is ({known}); a table must end in .csv, .tsv or .parquet, and of text "
            "the first line must name the columns.",
        )
    found = replace(config, dataset=dataset)
    found = _recognised(found, path) if dataset == "table" else replace(found, **_default(found))
    _tell(config, found)
    return found


def _with_columns_of_a_table(config: DataConfig) -> DataConfig:
    """Columns of what is said to be a table: the default ones, or those with usual names where they are not there."""
    open_columns, path = _default(config), as_path(config.data_dir) if config.data_dir else None
    if not open_columns or path is None or not path.exists():  # which the reader tells
        return replace(config, **open_columns)
    names, _ = import_module("pipelines.readers.table").header(path)
    if not set(open_columns.values()) <= set(names):
        found = _recognised(config, path)
        _tell(config, found)
        return found
    config = replace(config, **open_columns)
    for setting, name in overlooked(config, names).items():
        notices.info(f"{path}: column {name!r} is not read: name it as `{setting}`, or leave out `dataset`.")
    return config


def _recognised(config: DataConfig, path: AnyPath) -> DataConfig:
    names, source = import_module("pipelines.readers.table").header(path)
    return recognised(config, names, source, _remedy(names))


def _remedy(names: list[str]) -> str:
    """What is wrong with a first line in which no user or item is found, where that is likely; else ""."""
    if len(names) == 1:
        return "Check that the columns are separated by ',' (.csv) or tabs (.tsv)."
    if any(_is_number(name) for name in names):
        return "The first line looks like data: put one before it that names the columns, such as user_id,item_id."
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _default(config: DataConfig) -> dict[str, str]:
    """The column settings that there must be and that are empty, with their defaults."""
    return {setting: name for setting, name in DEFAULT_COLUMNS.items() if not getattr(config, setting)}


def _tell(before: DataConfig, after: DataConfig) -> None:
    """Gives notice of what was inferred."""
    settings = ["dataset"] if not before.dataset else []
    settings += [setting for setting in COLUMNS if after.dataset == "table" and not getattr(before, setting)]
    told = [f"`{setting}`={getattr(after, setting) or '(none)'}" for setting in settings]
    graded = after.rating_column and not before.rating_column
    drops = f" Ratings below `min_rating`={after.min_rating:g} do not count." if graded else ""
    notices.info(f"{after.data_dir}: read with {', '.join(told)}, as it looks; set what is otherwise.{drops}")


def _seen(path: AnyPath) -> str:
    """A file or folder in words."""
    if path.is_dir():
        names = sorted(part.name for part in path.iterdir())
        return f"a folder of {listed(names[:10])}{f' and {len(names) - 10} more' if len(names) > 10 else ''}"
    with Source(path).open() as file:
        lines = [line.strip() for line in islice(iter(lambda: file.readline(1 << 16), b""), 100)]
    first = next((line for line in lines if line), b"")
    if not first:
        return "an empty file" if not lines else "a file of blank lines"
    try:
        text = first.decode()
    except UnicodeDecodeError:
        text = "\0"
    if not text.replace("\t", " ").isprintable():
        return "a file that is not text"
    return f"text that begins with {text if len(text) <= _SHOWN else text[:_SHOWN] + '...'!r}"
