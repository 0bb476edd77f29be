"""Tables with named columns: `.csv`, `.tsv` (both also `.gz`) and `.parquet`, or a folder of such parts.

A folder is read as Spark writes one: its files in the order of their names, each with a header of its own; names that
begin with a dot or an underscore (`_SUCCESS`, `.part-00000.csv.crc`) are passed over.

`user_column` and the other column settings say which column is what. Ids follow the rule of `pipelines.readers.ids`.
Timestamps are numbers of seconds, or dates and times (ISO 8601; without a zone they count as UTC).
"""

from collections.abc import Sequence
from pathlib import PurePath

import numpy as np
import pyarrow as pa

from pipelines.config import COLUMNS, FILTERS, DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Ratings
from pipelines.notices import notices
from pipelines.paths import AnyPath
from pipelines.raw_ids import Ids
from pipelines.readers import delimited, parquet
from pipelines.readers.columns import to_ratings, wanted_columns
from pipelines.readers.delimited import Format
from pipelines.readers.files import Source, require_given
from pipelines.readers.kinds import DATE, SECONDS, ZONED_DATE, Kind

SETTINGS = ("data_dir", *FILTERS, *COLUMNS)
DELIMITERS = {".csv": ",", ".tsv": "\t"}


def recognise(path: AnyPath) -> str:
    """The data set's name if this is such a file, or a folder of such parts; "" if not."""
    found = _listed(path)
    alike = len({suffix_of(part) for part in found}) == 1 and not any(part.is_dir() for part in found)
    return "table" if alike and suffix_of(found[0]) in (".parquet", *DELIMITERS) else ""


def header(path: AnyPath) -> tuple[list[str], Source]:
    """The names of the columns, and the file that names them: of a folder the first part that says anything.

    Raises:
      InputError: there is no table, or it is empty.
    """
    sources = [Source(part) for part in parts(path)]
    suffix = suffix_of(sources[0].path)
    if suffix == ".parquet":
        return parquet.header(sources[0]), sources[0]
    heads = ((delimited.peek(source, Format(DELIMITERS[suffix], quoted=True), 1), source) for source in sources)
    found = next(((head[0], source) for head, source in heads if head), None)
    if found is None:
        raise InputError("empty", path=sources[0], remedy="The first line must name the columns.")
    return found


def read(path: AnyPath | None, config: DataConfig) -> Ratings:
    """Reads the table at `path`.

    Returns:
      `Ratings` with int64 or text ids, and grades, times and titles where `config` names their columns.

    Raises:
      InputError: the file is of another type, a column is missing, or a value is missing or malformed.
    """
    require_given(path, "a .csv, .tsv or .parquet file, or a folder of such parts")
    sources, kinds = [Source(part) for part in parts(path)], wanted_columns(config)
    suffix = suffix_of(sources[0].path)
    if suffix == ".parquet":
        columns = parquet.read_parts(sources, kinds, path)
    else:
        columns = _text(sources, Format(DELIMITERS[suffix], quoted=True), kinds, config.timestamp_column)
    return to_ratings(columns, config, path)


def suffix_of(file: AnyPath) -> str:
    """The ending of a file's name that tells its format."""
    return PurePath(file.name.removesuffix(".gz")).suffix.lower()


def _listed(path: AnyPath) -> list[AnyPath]:
    """The file itself, or what a folder holds but for marks and checksums, in the order of the names."""
    if not path.is_dir():
        return [path]
    return sorted((part for part in path.iterdir() if not part.name.startswith((".", "_"))), key=str)


def parts(path: AnyPath) -> list[AnyPath]:
    """The file itself, or the files of a folder that have something to say, in the order of their names."""
    found = _listed(path)
    if path.is_dir():
        if folders := [part.name for part in found if part.is_dir()]:
            raise InputError(
                f"this folder of parts holds a folder, {folders[0]}", path=path, remedy="Write the parts side by side."
            )
        if not found or len({suffix_of(part) for part in found}) > 1:
            raise InputError(
                f"this folder holds {[part.name for part in found[:10]]}, not the parts of one table",
                path=path,
                remedy="Keep parts of one format in it (part-00000.csv, ...), or set `data_dir` to a file.",
            )
    if suffix_of(found[0]) not in (".parquet", *DELIMITERS):
        remedy = "Convert it, or choose another `dataset`."
        raise InputError("not a .csv, .tsv or .parquet file", path=found[0], remedy=remedy)
    return found


def _text(
    sources: Sequence[Source], form: Format, kinds: dict[str, Kind], time_column: str
) -> dict[str, Ids | pa.DictionaryArray]:
    """`delimited.read_parts`, with dates in the time column turned into seconds since 1970."""
    sources, time_kind = with_content(sources, form, time_column)
    if time_kind is SECONDS:
        return delimited.read_parts(sources, form, kinds)
    columns = delimited.read_parts(sources, form, kinds | {time_column: time_kind})
    columns[time_column] = seconds_of(columns[time_column])
    return columns


def seconds_of(dates: np.ndarray) -> np.ndarray:
    """[n] datetime64[ns] as seconds since 1970."""
    return dates.astype(np.int64) / 1e9


def with_content(sources: Sequence[Source], form: Format, time_column: str) -> tuple[list[Source], Kind]:
    """The parts that are not empty, or all if all are; and what the time column holds: seconds or dates."""
    heads = [delimited.peek(source, form, 2) for source in sources]
    if any(heads):  # Spark writes a file without even a header where a part has no rows
        if silent := heads.count([]):
            notices.info(f"{sources[0].path.parent}: {silent} part(s) are empty.")
        sources = [source for source, head in zip(sources, heads, strict=True) if head]
    return list(sources), _time_kind(next((head for head in heads if len(head) == 2), []), time_column)


def _time_kind(head: list[list[str]], time_column: str) -> Kind:
    """Whether the time column of the first row is a number or a date; a number if there is no telling."""
    values = dict(zip(*head, strict=False)) if head else {}
    for kind in (DATE, ZONED_DATE):
        try:
            pa.array([values.get(time_column, "")]).cast(kind.arrow)
        except pa.ArrowInvalid:
            continue
        return kind
    return SECONDS
