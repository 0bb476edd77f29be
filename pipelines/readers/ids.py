"""Raw ids that a source writes as text, and the titles that go with them.

One rule for all such sources (`.inter`, tables, TFDS): if every id of a column is a plain decimal integer (no leading
zeros, no sign but a minus), the column is int64 and none may be negative or beyond int64; else every id of the
column is kept as the text it is. So `7` and `007` stay two ids, and a CSV and a Parquet file of the same table agree.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import InputError, shown
from pipelines.notices import notices
from pipelines.raw_ids import MAX_ID, MAX_ID_BYTES, IdColumn, Ids, codes_of, text_array

_PLAIN_INTEGER = r"^(0|-?[1-9][0-9]*)$"
_REMEDY = "Correct the row, or check that this is the right column."


def decode_ids(tokens: pa.DictionaryArray, name: str, source: object) -> Ids:
    """Applies the rule above to one column.

    Args:
      tokens: [num_rows] dictionary-encoded strings without nulls.
      name: the column, for error messages.
      source: the file, for error messages.

    Returns:
      [num_rows] int64 or text.

    Raises:
      InputError: an integer id is negative or does not fit int64; or a text is too long or holds a NUL.
    """
    check_words(tokens, name, source)
    words, codes = tokens.dictionary, tokens.indices.to_numpy()
    if not pc.all(is_plain_integer(words), min_count=0).as_py():
        padded, twins = with_white_space(words)
        tell_white_space(padded, twins, name, source)
        return IdColumn(text_array(words.to_pylist()), codes)
    numbers = [int(word) for word in words.to_pylist()]
    if (row := _first_row(codes, np.array([not 0 <= number <= MAX_ID for number in numbers], bool))) is not None:
        raise bad_id(numbers[codes[row]], name, row, source)
    return np.array(numbers, dtype=np.int64)[codes]


def check_words(tokens: pa.DictionaryArray, name: str, source: object, first_row: int = 0) -> None:
    """Raises InputError where a text is too long for an id or holds a NUL; rows are counted from `first_row`."""
    words, codes = tokens.dictionary, tokens.indices.to_numpy()
    for wrong, says in (
        (pc.greater(pc.binary_length(words), MAX_ID_BYTES), f"is an id of more than {MAX_ID_BYTES:,} bytes"),
        (pc.match_substring(words, "\0"), "is an id with a NUL, which many programs take for its end"),
    ):
        if (row := _first_row(codes, wrong.to_numpy(zero_copy_only=False))) is not None:
            found = shown(words[codes[row]].as_py(), quoted=True)
            problem = f"{name} {found} in row {first_row + row + 1} of the data {says}"
            raise InputError(problem, path=str(source), remedy=_REMEDY)


def is_plain_integer(words: pa.StringArray) -> pa.BooleanArray:
    """Which texts are decimal integers as Python writes them, of whatever size."""
    return pc.match_substring_regex(words, _PLAIN_INTEGER)


def _first_row(codes: np.ndarray, wrong: np.ndarray) -> int | None:
    """The first row whose code [num_rows] is one of those that are wrong [num_different]; None if there is none."""
    return int(np.argmax(wrong[codes])) if wrong.any() else None


def with_white_space(words: pa.StringArray) -> tuple[pa.StringArray, int]:
    """The texts that have white space around them, and how many of these are there without it too."""
    trimmed = pc.utf8_trim_whitespace(words)
    padded = words.filter(pc.not_equal(words, trimmed))
    if not len(padded):
        return padded, 0
    return padded, pc.sum(pc.is_in(pc.utf8_trim_whitespace(padded), words)).as_py()


def tell_white_space(padded: Sequence, twins: int, name: str, source: object) -> None:
    """Gives notice of ids that white space around them makes others than they seem: see `with_white_space`."""
    if len(padded):
        notices.warning(
            f"{source}: {len(padded):,} id(s) of column {name!r} have white space around them, such as "
            f"{str(padded[0])!r}, and count as written; {twins:,} of them are also there without it."
        )


def bad_id(number: int, name: str, row: int, source: object) -> InputError:
    """The error for an integer that cannot be an id, in row `row` counted from 0."""
    return InputError(
        f"{name} {shown(number)} in row {row + 1} of the data is not an id (0 to 2^63 - 1)",
        path=str(source),
        remedy="Correct the row, or if ids are names and not numbers, write a letter before each.",
    )


def titles_by_item(items: Ids, titles: pa.DictionaryArray, source: object) -> dict:
    """Each item's first title that is not empty; a notice tells of items that have several.

    Args:
      items: [num_rows] ids.
      titles: [num_rows] dictionary-encoded strings, the title of each row's item.
      source: the table, for the notice.
    """
    words, codes = np.array(titles.dictionary.to_pylist(), dtype=object), titles.indices.to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(np.isin(codes, np.flatnonzero([bool(word) for word in words])))
    _, first, number = np.unique(codes_of(items)[rows], return_index=True, return_inverse=True)
    other = codes[rows] != codes[rows[first]][number]
    if several := len(np.unique(number[other])):
        tell_several_titles(several, items[rows[first[number[np.argmax(other)]]]], source)
    return dict(zip(items[rows[first]].tolist(), words[codes[rows[first]].astype(np.int64)].tolist(), strict=True))


def tell_several_titles(count: int, item: object, source: object) -> None:
    """Gives notice of so many items with several titles, of which this is one, if there are any."""
    if count:
        notices.info(f"{source}: {count:,} item(s) have several titles, such as item {item}: the first counts.")
