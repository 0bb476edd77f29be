"""Adjacency text: a line `user item item ...` for each user, of integers; plain or gzip.

A user may have several lines, which are merged, or no items at all. There are no grades, times or titles.
"""

from dataclasses import dataclass

import numpy as np

from pipelines.config import FILTERS, DataConfig
from pipelines.errors import InputError
from pipelines.interactions import Ratings
from pipelines.notices import notices
from pipelines.paths import AnyPath
from pipelines.raw_ids import MAX_ID
from pipelines.readers.files import MAX_RECORD_BYTES, Source, require_given

SETTINGS = ("data_dir", *FILTERS)
_BLOCK_BYTES = 16 << 20
_PEEK_BYTES = 1 << 20
_WHITESPACE = b" \t\n\r\x0b\x0c"
_SAFE_DIGITS = len(str(MAX_ID)) - 1
_MOST_COLUMNS = 4
"""Of a table of user, item, rating and time: lines that all have so many numbers or fewer may be its rows."""


def recognise(path: AnyPath) -> str:
    """The data set's name if this is plainly such text; "" if not.

    Lines of two to four numbers each are not plain: they may be the rows of a table.
    """
    if path.is_dir():
        return ""
    with Source(path).open() as file:
        head = file.read(_PEEK_BYTES)
    lines = _line_feeds(head).split(b"\n")
    widths = {len(line.split()) for line in (lines if len(head) < _PEEK_BYTES else lines[:-1])} - {0}
    plain = len(widths) > 1 or any(width > _MOST_COLUMNS for width in widths)
    return "adjacency" if plain and not head.translate(None, b"0123456789" + _WHITESPACE) else ""


def read(path: AnyPath | None, config: DataConfig) -> Ratings:
    """Reads the file at `path`.

    Notices tell of users with several lines or without items, of items that a line repeats, and of blank lines.

    Returns:
      `Ratings` with int64 ids and nothing else, in the order of the file.

    Raises:
      InputError: a word is not an integer from 0 to 2^63 - 1, or there are no items.
    """
    require_given(path, "the file with a line `user item item ...` for each user")
    source = Source(path)
    blocks, line, rest = [], 1, b""
    with source.open() as file:
        while data := file.read(_BLOCK_BYTES):
            if data.endswith(b"\r"):  # it may be the first half of an end of line
                data += file.read(1)
            lines, newline, rest = (rest + _line_feeds(data)).rpartition(b"\n")
            if len(rest) > MAX_RECORD_BYTES:
                line += lines.count(b"\n") + len(newline)
                problem = f"a line of more than {MAX_RECORD_BYTES >> 20} MiB"
                raise InputError(problem, path=source, line=line, remedy="Check that this is a text file.")
            blocks.append(_parse(lines + newline, line, source))
            line += lines.count(b"\n") + len(newline)
    blocks.append(_parse(rest, line, source))
    whole = _Lines(*(np.concatenate(parts) for parts in zip(*map(_Lines.arrays, blocks), strict=True)))
    if not len(whole.items):
        raise InputError("empty: no user has an item", path=source, remedy="Check that the file was copied whole.")
    _tell(whole, line - 1 + bool(rest), source)
    return Ratings(np.repeat(whole.users, whole.counts), whole.items, source=str(source))


@dataclass(frozen=True)
class _Lines:
    """Lines that are not blank: [n] int64 each, but for the items."""

    users: np.ndarray
    numbers: np.ndarray
    """Which lines of the file they are, from 1."""
    counts: np.ndarray
    """How many items each has."""
    items: np.ndarray
    """[sum of counts] int64, line after line."""

    def arrays(self) -> tuple[np.ndarray, ...]:
        return self.users, self.numbers, self.counts, self.items


def _line_feeds(text: bytes) -> bytes:
    """The same with lines that all end in a line feed, and none in a carriage return."""
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text


def _parse(text: bytes, line: int, source: Source) -> _Lines:
    """The content of whole lines, of which the first is number `line`."""
    characters = np.frombuffer(text, np.uint8)
    inside = np.isin(characters, np.frombuffer(_WHITESPACE, np.uint8), invert=True)
    edges = np.diff(inside, prepend=False, append=False)
    starts, ends = np.flatnonzero(edges).reshape(-1, 2).T
    if text.translate(None, b"0123456789" + _WHITESPACE) or (ends - starts > _SAFE_DIGITS).any():
        _check(text, line, source)
    words = np.fromstring(text, np.int64, sep=" ") if len(starts) else np.empty(0, np.int64)
    line_of = np.searchsorted(np.flatnonzero(characters == ord("\n")), starts)
    is_user = np.diff(line_of, prepend=-1) > 0
    counts = np.diff(np.flatnonzero(is_user), append=len(words)) - 1
    return _Lines(words[is_user], line + line_of[is_user], counts, words[~is_user])


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


def _tell(lines: _Lines, num_lines: int, source: Source) -> None:
    """Gives notice of what is merged, and of what says nothing."""
    unique, first = np.unique(lines.users, return_index=True)
    again = np.ones(len(lines.users), bool)
    again[first] = False
    if again.any():
        place, users = np.argmax(again), len(np.unique(lines.users[again]))
        notices.warning(
            f"{source}: {users:,} user(s) have more than one line, and these are merged; the first is user "
            f"{lines.users[place]}, again in line {lines.numbers[place]}."
        )
    line_of = np.repeat(np.arange(len(lines.users)), lines.counts)
    order = np.lexsort((lines.items, line_of))
    same = (np.diff(lines.items[order]) == 0) & (np.diff(line_of[order]) == 0)
    if same.any():
        place = order[1:][same].min()
        notices.warning(
            f"{source}: {np.count_nonzero(same):,} item(s) stand in their line before; the first is item "
            f"{lines.items[place]} of user {lines.users[line_of[place]]}, line {lines.numbers[line_of[place]]}."
        )
    of_user = np.bincount(np.searchsorted(unique, lines.users), lines.counts)
    if (without := of_user == 0).any():
        notices.warning(
            f"{source}: {np.count_nonzero(without):,} user(s) have no items and are left out; the first is user "
            f"{lines.users[first[without].min()]}, line {lines.numbers[first[without].min()]}."
        )
    if blank := num_lines - len(lines.users):
        notices.info(f"{source}: {blank:,} blank line(s) are passed over.")
