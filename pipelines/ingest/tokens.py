"""Ids of rows while it is open whether their column holds numbers or text, which all of it decides.

An id that is a plain integer is kept as a number, any other as text (see `pipelines.readers.ids`): so one and the same
id is the same in whatever part of the source, and `7` goes to the bucket of `7` whether a part wrote it as text or not.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.raw_ids import MAX_ID, Ids, is_text, packed, text_array, unpacked
from pipelines.readers.ids import is_plain_integer


@dataclass(frozen=True)
class Tokens:
    """[n] ids."""

    numbers: np.ndarray
    """[n] int64: the ids that are plain integers; 0 where there is a text."""
    words: pa.Array | None = None
    """[n] strings, null where there is a number; None: all are numbers."""

    def __len__(self) -> int:
        return len(self.numbers)

    @classmethod
    def of(cls, column: np.ndarray | pa.DictionaryArray) -> "Tokens":
        """Ids as `pipelines.readers` finds them: [n] int64, or a dictionary array of texts."""
        if isinstance(column, np.ndarray):
            return cls(column)
        codes, words = column.indices.to_numpy(), column.dictionary.cast(pa.string())
        plain = is_plain_integer(words).to_numpy(zero_copy_only=False)
        numbers = np.zeros(len(words), np.int64)
        try:
            numbers[plain] = words.filter(pa.array(plain)).cast(pa.int64()).to_numpy()
            fits = plain & (numbers >= 0)
        except pa.ArrowInvalid:  # one of them is beyond int64
            exact = [int(word) if is_plain else -1 for word, is_plain in zip(words.to_pylist(), plain, strict=True)]
            fits = np.array([0 <= number <= MAX_ID for number in exact], bool)
            numbers = np.array([number if fit else 0 for number, fit in zip(exact, fits, strict=True)], np.int64)
        numbers[~fits] = 0
        if fits.all():
            return cls(numbers[codes])
        texts = pc.if_else(pa.array(fits), pa.scalar(None, pa.string()), words)
        return cls(numbers[codes], texts.take(pa.array(codes)))

    @classmethod
    def of_ids(cls, ids: Ids) -> "Tokens":
        """Ids of a column that is decided already."""
        if not is_text(ids):
            return cls(np.asarray(ids))
        return cls(np.zeros(len(ids), np.int64), pa.array(ids[:].tolist(), pa.string()))

    @property
    def has_words(self) -> bool:
        return self.words is not None and self.words.null_count < len(self.words)

    def take(self, rows: np.ndarray) -> "Tokens":
        """Those of some rows, in the given order."""
        return Tokens(self.numbers[rows], None if self.words is None else self.words.take(pa.array(rows)))

    def factorize(self) -> tuple[np.ndarray, "Tokens"]:
        """[n] codes from 0 in the order of first appearance, and the different ids."""
        codes, different = pd.factorize(self.numbers)
        if not self.has_words:
            return codes, Tokens(different)
        word = self.words.dictionary_encode().indices.fill_null(-1).to_numpy()
        codes, _ = pd.factorize(np.where(word >= 0, len(different) + word, codes))
        highest = np.maximum.accumulate(codes)
        return codes, self.take(np.flatnonzero(np.diff(highest, prepend=-1)))

    def buckets(self, count: int) -> np.ndarray:
        """[n] int32: to which of so many buckets each goes, the same for the same id anywhere."""
        mixed = self.numbers.astype(np.uint64)
        with np.errstate(over="ignore"):  # splitmix64
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
        if self.has_words:
            rows = np.flatnonzero(self.words.is_valid().to_numpy(zero_copy_only=False))
            texts = text_array(self.words.take(pa.array(rows)).to_pylist())
            mixed[rows] = pd.util.hash_array(texts, categorize=False)
        return (mixed % np.uint64(count)).astype(np.int32)

    def ids(self, text: bool) -> np.ndarray:
        """[n] int64, or Python strings where the column is text."""
        if not text:
            return self.numbers
        words = [None] * len(self) if self.words is None else self.words.to_pylist()
        both = zip(words, self.numbers.tolist(), strict=True)
        return text_array(str(number) if word is None else word for word, number in both)

    def pack(self, name: str) -> dict[str, np.ndarray]:
        """Arrays that keep them in a file."""
        arrays = {f"{name}_numbers": self.numbers}
        if self.has_words:
            rows = np.flatnonzero(self.words.is_valid().to_numpy(zero_copy_only=False))
            texts = text_array(self.words.take(pa.array(rows)).to_pylist())
            arrays |= {f"{name}_rows": rows} | packed(f"{name}_words", texts)
        return arrays

    @classmethod
    def unpack(cls, name: str, arrays: Mapping[str, np.ndarray]) -> "Tokens":
        """The inverse of `pack`."""
        numbers, rows = arrays[f"{name}_numbers"], arrays.get(f"{name}_rows")
        if rows is None:
            return cls(numbers)
        words = np.full(len(numbers), None, object)
        words[rows] = unpacked(f"{name}_words", arrays)
        return cls(numbers, pa.array(words.tolist(), pa.string()))

    @classmethod
    def joined(cls, parts: list["Tokens"]) -> "Tokens":
        """Those of several, one after the other."""
        numbers = np.concatenate([part.numbers for part in parts]) if parts else np.zeros(0, np.int64)
        if not any(part.has_words for part in parts):
            return cls(numbers)
        words = [pa.nulls(len(part), pa.string()) if part.words is None else part.words for part in parts]
        return cls(numbers, pa.concat_arrays(words))
