"""The first stage: the rows of a piece go to the buckets of their users, and what only all of it can tell is noted."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ingest.job import Job, file_name
from pipelines.ingest.pieces import Block, Piece
from pipelines.ingest.results import Result
from pipelines.ingest.spill import writing_rows
from pipelines.ingest.tokens import Tokens
from pipelines.raw_ids import packed, text_array
from pipelines.readers.ids import is_plain_integer

STAGE, ROWS = "partition", "rows"


def partition(job: Job, number: int, piece: Piece) -> Result:
    """Sorts a piece's rows by bucket into a file, and tells of them.

    Facts: "rows", "headers", "timed", and with ratings "low", "high" and "positives"; of "user" and "item" columns
    "_text": whether one of the ids is no plain integer, "_bad": the first row, and the text, of one that is no id as a
    number. Arrays: the different "items"; "user_padded" and "item_padded": texts with white space around them;
    "titled", "titles" and "title_rows": the different pairs of an item and a title, and where they first stand.
    """
    found = _Found()
    with writing_rows(job.path(ROWS, file_name(number, ".arrow")), job.num_buckets, textual=piece.textual) as writer:
        for block in piece.blocks():
            found.see(block, job.config.min_rating)
            writer.add(block, None if block.ratings is None else block.ratings >= job.config.min_rating)
    return found.result()


class _Found:
    """What the blocks of a piece have told so far."""

    def __init__(self) -> None:
        self._rows = self._headers = self._positives = 0
        self._range: tuple[float, float] | None = None
        self._timed = False
        self._ids = {"user": _Column(), "item": _Column()}
        self._items: list[Tokens] = []
        self._titles: dict[tuple[object, str], int] = {}

    def see(self, block: Block, min_rating: float) -> None:
        self._headers += block.headers
        if not len(block):
            return
        codes, items = block.items.factorize()
        self._items.append(items)
        self._ids["item"].see(items, np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1)) + self._rows)
        if block.users.has_words:
            codes_of_users, users = block.users.factorize()
            first = np.flatnonzero(np.diff(np.maximum.accumulate(codes_of_users), prepend=-1))
            self._ids["user"].see(users, first + self._rows)
        if block.ratings is not None:
            low, high = float(block.ratings.min()), float(block.ratings.max())
            former = self._range or (low, high)
            self._range = min(low, former[0]), max(high, former[1])
            self._positives += int(np.count_nonzero(block.ratings >= min_rating))
        self._timed |= block.timestamps is not None
        if block.titles is not None:
            for key, row in _pairs(codes, items, block.titles):
                self._titles.setdefault(key, self._rows + row)
        self._rows += len(block)

    def result(self) -> Result:
        facts = {"rows": self._rows, "headers": self._headers, "timed": self._timed}
        if self._range:
            facts |= {"low": self._range[0], "high": self._range[1], "positives": self._positives}
        arrays = Tokens.joined(self._items).factorize()[1].pack("items")
        for name, column in self._ids.items():
            facts |= {f"{name}_text": column.text, f"{name}_bad": column.bad}
            arrays |= packed(f"{name}_padded", text_array(column.padded))
        if self._titles:
            arrays |= packed("titled", text_array(str(item) for item, _ in self._titles))
            arrays |= packed("titles", text_array(title for _, title in self._titles))
            arrays["title_rows"] = np.array(list(self._titles.values()))
        return Result(facts, arrays)


class _Column:
    """What the texts of a column of ids tell."""

    def __init__(self) -> None:
        self.text, self.bad, self.padded = False, None, {}

    def see(self, different: Tokens, rows: np.ndarray) -> None:
        """Different ids [n] and the rows in which they first stand."""
        if not different.has_words:
            return
        words = different.words
        plain = pc.fill_null(is_plain_integer(words), True).to_numpy(zero_copy_only=False)
        self.text |= not plain.all()
        if self.bad is None:
            place = int(np.argmax(words.is_valid().to_numpy(zero_copy_only=False)))
            self.bad = int(rows[place]), words[place].as_py()
        padded = words.filter(pc.fill_null(pc.not_equal(words, pc.utf8_trim_whitespace(words)), False))
        self.padded |= dict.fromkeys(padded.to_pylist())


def _pairs(codes: np.ndarray, items: Tokens, titles: pa.DictionaryArray) -> Iterator[tuple[tuple[object, str], int]]:
    """The different pairs of an item's id, as text, and a title that is not empty, and the first row of each."""
    words, code_of_title = titles.dictionary.to_pylist(), titles.indices.to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(np.array([bool(word) for word in words], bool)[code_of_title]) if words else np.zeros(0, int)
    keys = codes[rows] * np.int64(len(words)) + code_of_title[rows]
    _, first = np.unique(keys, return_index=True)
    names = items.ids(text=True)
    for row in rows[np.sort(first)].tolist():
        yield (names[codes[row]], words[code_of_title[row]]), row
