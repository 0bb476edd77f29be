"""Tables with named columns: `.csv`, `.tsv` (both also `.gz`) and `.parquet`.

`user_column` and the other column settings say which column is what. Ids follow the rule of `pipelines.readers.ids`.
Timestamps are numbers of seconds, or dates and times (ISO 8601; without a zone they count as UTC).
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Ratings
from pipelines.readers import delimited, parquet
from pipelines.readers.delimited import DATE, RATING, SECONDS, TEXT, TOKEN, ZONED_DATE, Format, Kind
from pipelines.readers.files import Source, require_given
from pipelines.readers.ids import titles_by_item

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


def read(path: Path, config: DataConfig) -> Ratings:
    """Reads the table at `path`.

    Returns:
      `Ratings` with int64 or str ids, and grades, times and titles where `config` names their columns.

    Raises:
      InputError: the file is of another type, a column is missing, or a value is missing or malformed.
    """
    require_given(path, config, "a .csv, .tsv or .parquet file")
    source, kinds = Source(path), _kinds(config)
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if path.is_file() and suffix not in (".parquet", *_DELIMITERS):
        remedy = "Convert it, or choose another `dataset`."
        raise InputError("not a .csv, .tsv or .parquet file", path=source, remedy=remedy)
    if suffix == ".parquet":
        columns = parquet.read_columns(source, kinds)
    else:
        columns = _text(source, Format(_DELIMITERS.get(suffix, ","), quoted=True), kinds, config.timestamp_column)
    users, items = columns[config.user_column], columns[config.item_column]
    grades, times = columns.get(config.rating_column), columns.get(config.timestamp_column)
    titles = titles_by_item(items, columns[config.title_column]) if config.title_column else {}
    return Ratings(users, items, grades, times, titles, source=str(source))


def _kinds(config: DataConfig) -> dict[str, Kind]:
    """What each column that a setting names must hold."""
    flags = {
        "user_column": TOKEN,
        "item_column": TOKEN,
        "rating_column": RATING,
        "timestamp_column": SECONDS,
        "title_column": TEXT,
    }
    owner: dict[str, str] = {}
    for flag in flags:
        if (name := getattr(config, flag)) in owner:
            raise InputError(
                f"`{owner[name]}` and `{flag}` both name {name!r}",
                remedy="Name another column, or leave it empty (items without titles are shown by id).",
            )
        if name:
            owner[name] = flag
    return {name: flags[flag] for name, flag in owner.items()}


def _text(
    source: Source, form: Format, kinds: dict[str, Kind], time_column: str
) -> dict[str, np.ndarray | pa.DictionaryArray]:
    """`delimited.read_columns`, with dates in the time column turned into seconds since 1970."""
    time_kind = _time_kind(source, form, time_column)
    if time_kind is SECONDS:
        return delimited.read_columns(source, form, kinds)
    columns = delimited.read_columns(source, form, kinds | {time_column: time_kind})
    columns[time_column] = columns[time_column].astype(np.int64) / 1e9
    return columns


def _time_kind(source: Source, form: Format, time_column: str) -> Kind:
    """Whether the first value of the time column is a number or a date; a number if there is no telling."""
    header, *rows = delimited.peek(source, form, 2) or [[]]
    values = dict(zip(header, *rows, strict=False)) if rows else {}
    for kind in (DATE, ZONED_DATE):
        try:
            pa.array([values.get(time_column, "")]).cast(kind.arrow)
        except pa.ArrowInvalid:
            continue
        return kind
    return SECONDS
