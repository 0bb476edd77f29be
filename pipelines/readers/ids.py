"""Raw ids that a source writes as text, and the titles that go with them.

One rule for all such sources (`.inter`, tables, TFDS): if every id of a column is a plain decimal integer (no leading
zeros, no sign but a minus), the column is int64 and none may be negative or beyond int64; else every id of the
column is kept as the text it is. So `7` and `007` stay two ids, and a CSV and a Parquet file of the same table agree.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import InputError
from pipelines.notices import notices

_PLAIN_INTEGER = r"^(0|-?[1-9][0-9]*)$"
MAX_ID = 2**63 - 1


def decode_ids(tokens: pa.DictionaryArray, name: str, source: object) -> np.ndarray:
    """Applies the rule above to one column.

    Args:
      tokens: [num_rows] dictionary-encoded strings without nulls.
      name: the column, for error messages.
      source: the file, for error messages.

    Returns:
      [num_rows] int64 or str.

    Raises:
      InputError: an integer id is negative or does not fit int64.
    """
    words, codes = tokens.dictionary, tokens.indices.to_numpy()
    if not pc.all(pc.match_substring_regex(words, _PLAIN_INTEGER), min_count=0).as_py():
        _tell_white_space(words, name, source)
        return np.array(words.to_pylist(), dtype=str)[codes]
    numbers = [int(word) for word in words.to_pylist()]
    if bad := {code for code, number in enumerate(numbers) if not 0 <= number <= MAX_ID}:
        row = next(row for row, code in enumerate(codes.tolist()) if code in bad)
        raise bad_id(numbers[codes[row]], name, row, source)
    return np.array(numbers, dtype=np.int64)[codes]


def _tell_white_space(words: pa.StringArray, name: str, source: object) -> None:
    """Gives notice of ids that white space around them makes others than they seem."""
    trimmed = pc.utf8_trim_whitespace(words)
    padded = words.filter(pc.not_equal(words, trimmed))
    if len(padded):
        twins = pc.sum(pc.is_in(pc.utf8_trim_whitespace(padded), words)).as_py()
        notices.warning(
            f"{source}: {len(padded):,} id(s) of column {name!r} have white space around them, such as "
            f"{padded[0].as_py()!r}, and count as written; {twins:,} of them are also there without it."
        )


def bad_id(number: int, name: str, row: int, source: object) -> InputError:
    """The error for an integer that cannot be an id, in row `row` counted from 0."""
    return InputError(
        f"{name} {number} in row {row + 1} of the data is not an id (0 to 2^63 - 1)",
        path=str(source),
        remedy="Correct the row, or if ids are names and not numbers, write a letter before each.",
    )


def titles_by_item(items: np.ndarray, titles: pa.DictionaryArray, source: object) -> dict:
    """Each item's first title that is not empty; a notice tells of items that have several.

    Args:
      items: [num_rows] ids.
      titles: [num_rows] dictionary-encoded strings, the title of each row's item.
      source: the table, for the notice.
    """
    words, codes = np.array(titles.dictionary.to_pylist(), dtype=object), titles.indices.to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(np.isin(codes, np.flatnonzero([bool(word) for word in words])))
    unique, first, number = np.unique(items[rows], return_index=True, return_inverse=True)
    other = codes[rows] != codes[rows[first]][number]
    if several := len(np.unique(number[other])):
        item = unique[number[np.argmax(other)]]
        notices.info(f"{source}: {several:,} item(s) have several titles, such as item {item}: the first counts.")
    return dict(zip(unique.tolist(), words[codes[rows[first]].astype(np.int64)].tolist(), strict=True))
