"""The different items of all pieces, numbered as codes: numbers first, in ascending order, then texts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from pipelines.ingest.tokens import Tokens
from pipelines.raw_ids import packed, text_array, unpacked


@dataclass(frozen=True)
class Catalogue:
    """Codes of items."""

    numbers: np.ndarray
    """[n] int64, ascending."""
    words: np.ndarray
    """[m] Python strings."""

    def __len__(self) -> int:
        return len(self.numbers) + len(self.words)

    @classmethod
    def of(cls, parts: list[Tokens]) -> "Catalogue":
        """Of all different ids in several lists of them."""
        numbers, words = [np.zeros(0, np.int64)], {}
        for part in parts:
            valid = np.zeros(len(part), bool)
            if part.has_words:
                valid = part.words.is_valid().to_numpy(zero_copy_only=False)
                words |= dict.fromkeys(part.words.drop_null().to_pylist())
            numbers.append(part.numbers[~valid])
        return cls(np.unique(np.concatenate(numbers)), text_array(words))

    def codes(self, ids: Tokens) -> np.ndarray:
        """[n] int32 of ids that are all there."""
        codes, different = ids.factorize()
        found = np.searchsorted(self.numbers, different.numbers).astype(np.int32)
        if different.has_words:
            rows = np.flatnonzero(different.words.is_valid().to_numpy(zero_copy_only=False))
            texts = text_array(different.words.take(pa.array(rows)).to_pylist())
            found[rows] = len(self.numbers) + pd.Index(self.words).get_indexer(texts)
        return found[codes]

    def ids(self, text: bool) -> np.ndarray:
        """[n + m] int64, or Python strings where the column is text."""
        if not text:
            return self.numbers
        return text_array([*map(str, self.numbers.tolist()), *self.words])

    def has(self, word: str, plain: int | None) -> bool:
        """Whether a text, or the number that it is, is one of the ids."""
        if plain is None:
            return word in set(self.words)
        place = np.searchsorted(self.numbers, plain)
        return bool(place < len(self.numbers) and self.numbers[place] == plain)

    def pack(self) -> dict[str, np.ndarray]:
        return {"numbers": self.numbers} | packed("words", self.words)

    @classmethod
    def unpack(cls, arrays: Mapping[str, np.ndarray]) -> "Catalogue":
        return cls(arrays["numbers"], unpacked("words", arrays))
