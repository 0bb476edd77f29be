"""Adjacency text: a line `user item item ...` for each user, of integers; plain or gzip.

A user may have several lines, or no items at all. There are no grades, times or titles.
"""

import numpy as np

from pipelines.config import FILTERS, DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Ratings
from pipelines.paths import AnyPath
from pipelines.readers.files import Source, require_given
from pipelines.readers.ids import MAX_ID

SETTINGS = ("data_dir", *FILTERS)
_BLOCK_BYTES = 16 << 20
_WHITESPACE = b" \t\n\r\x0b\x0c"
_SAFE_DIGITS = len(str(MAX_ID)) - 1


def read(path: AnyPath | None, config: DataConfig) -> Ratings:
    """Reads the file at `path`.

    Returns:
      `Ratings` with int64 ids and nothing else, in the order of the file.

    Raises:
      InputError: a word is not an integer from 0 to 2^63 - 1, or there are no items.
    """
    require_given(path, "the file with a line `user item item ...` for each user")
    source = Source(path)
    users, items, line, rest = [], [], 1, b""
    with source.open() as file:
        while data := file.read(_BLOCK_BYTES):
            lines, newline, rest = (rest + data).rpartition(b"\n")
            _parse(lines + newline, line, source, users, items)
            line += lines.count(b"\n") + len(newline)
    _parse(rest, line, source, users, items)
    if not sum(map(len, items)):
        raise InputError("empty: no user has an item", path=source, remedy="Check that the file was copied whole.")
    return Ratings(np.concatenate(users), np.concatenate(items), source=str(source))


def _parse(text: bytes, line: int, source: Source, users: list[np.ndarray], items: list[np.ndarray]) -> None:
    """Appends the users and items of whole lines, of which the first is number `line`."""
    characters = np.frombuffer(text, np.uint8)
    inside = np.isin(characters, np.frombuffer(_WHITESPACE, np.uint8), invert=True)
    edges = np.diff(inside, prepend=False, append=False)
    starts, ends = np.flatnonzero(edges).reshape(-1, 2).T
    if text.translate(None, b"0123456789" + _WHITESPACE) or (ends - starts > _SAFE_DIGITS).any():
        _check(text, line, source)
    words = np.fromstring(text, np.int64, sep=" ") if len(starts) else np.empty(0, np.int64)
    line_of = np.searchsorted(np.flatnonzero(characters == ord("\n")), starts)
    is_user = np.diff(line_of, prepend=-1) > 0
    users.append(np.repeat(words[is_user], np.diff(np.flatnonzero(is_user), append=len(words)) - 1))
    items.append(words[~is_user])


def _check(text: bytes, first_line: int, source: Source) -> None:
    """Raises InputError about the first word that is not an id, if there is one."""
    for line, content in enumerate(text.split(b"\n"), first_line):
        for word in content.split():
            if not word.isdigit() or int(word[:32]) > MAX_ID:
                raise InputError(
                    f"{word[:60].decode(errors='replace')!r} is not an id (an integer from 0 to 2^63 - 1)",
                    path=source,
                    line=line,
                    remedy="Each line must be `user item item ...`. Correct the line, or check that this is the file.",
                )
