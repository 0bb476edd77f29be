"""Which columns of a table are asked for, and what becomes of them; the same for files and DataFrames."""

from collections.abc import Mapping

import pyarrow as pa

from pipelines.config import DataConfig
from pipelines.errors import InputError, require
from pipelines.interactions import Ratings
from pipelines.raw_ids import Ids
from pipelines.readers.ids import titles_by_item
from pipelines.readers.kinds import RATING, SECONDS, TEXT, TOKEN, Kind

_KINDS = {
    "user_column": TOKEN,
    "item_column": TOKEN,
    "rating_column": RATING,
    "timestamp_column": SECONDS,
    "title_column": TEXT,
}


def wanted_columns(config: DataConfig) -> dict[str, Kind]:
    """What each column that a setting names must hold.

    Raises:
      InputError: there is no user or item column, or two settings name the same one.
    """
    for setting in ("user_column", "item_column"):
        require(bool(getattr(config, setting)), setting, "", "must name a column")
    owner: dict[str, str] = {}
    for setting in _KINDS:
        if (name := getattr(config, setting)) in owner:
            raise InputError(
                f"`{owner[name]}` and `{setting}` both name {name!r}",
                remedy="Name another column, or leave it empty (items without titles are shown by id).",
            )
        if name:
            owner[name] = setting
    return {name: _KINDS[setting] for name, setting in owner.items()}


def to_ratings(columns: Mapping[str, Ids | pa.DictionaryArray], config: DataConfig, source: object) -> Ratings:
    """The columns of one table as `Ratings`.

    Args:
      columns: those of `wanted_columns`, by name.
      config: which column is what.
      source: the table, for error messages.
    """
    users, items = columns[config.user_column], columns[config.item_column]
    grades, times = columns.get(config.rating_column), columns.get(config.timestamp_column)
    titles = titles_by_item(items, columns[config.title_column], source) if config.title_column else {}
    return Ratings(users, items, grades, times, titles, source=str(source))
