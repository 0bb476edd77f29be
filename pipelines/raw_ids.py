"""Raw ids as a source writes them: whole numbers, or text of any length.

Text stands in arrays of Python strings (dtype object): NumPy's own `<U` gives every element the width of the longest,
so that one long id makes all of them long, and drops NULs at the end, so that two ids become one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

MAX_ID = 2**63 - 1
"""The largest id that is a number."""
MAX_ID_BYTES = 1024
"""Of an id that is text, in UTF-8: what S3 takes as a key, and ten times what UUIDs, hashes and most URLs need."""


@dataclass(frozen=True)
class IdColumn:
    """The ids of a table's rows, of which each different one is kept once; for the rest, much like an array."""

    different: np.ndarray
    """[n] the different ids."""
    codes: np.ndarray
    """[num_rows] of an integer type: where each row's id stands among them."""

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: object) -> object:
        return self.different[self.codes[rows]]

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    @property
    def dtype(self) -> np.dtype:
        return self.different.dtype

    def tolist(self) -> list:
        return self[:].tolist()


Ids = np.ndarray | IdColumn
"""Of rows: [num_rows] int64 or text."""


def text_array(words: Iterable[str]) -> np.ndarray:
    """Texts as an array, each as long as it is."""
    words = list(words)
    array = np.empty(len(words), object)
    array[:] = words
    return array


def is_text(ids: Ids) -> bool:
    """Whether ids are text, and not numbers."""
    return ids.dtype.kind not in "iu"


def as_text(ids: Ids) -> Ids:
    """The same ids as text: 42 is "42"."""
    if is_text(ids):
        return ids
    return text_array(map(str, ids.tolist()))


def codes_of(ids: Ids) -> np.ndarray:
    """[num_rows] integers from 0 that are the same where ids are the same, in no particular order."""
    return ids.codes if isinstance(ids, IdColumn) else pd.factorize(ids)[0]


def ranks_of(ids: Ids) -> np.ndarray:
    """[num_rows] integers from 0 in the order of the ids, the same where ids are the same."""
    if not isinstance(ids, IdColumn):
        return np.unique(ids, return_inverse=True)[1]
    ranks = np.empty(len(ids.different), np.int64)
    ranks[np.argsort(ids.different)] = np.arange(len(ids.different))
    return ranks[ids.codes]


def take(ids: Ids, rows: np.ndarray) -> Ids:
    """Some of the rows, in the given order."""
    return IdColumn(ids.different, ids.codes[rows]) if isinstance(ids, IdColumn) else ids[rows]


def joined(parts: list[Ids]) -> Ids:
    """The rows of several columns, one after the other; all ids are text where those of one column are."""
    if not any(map(is_text, parts)):
        return np.concatenate(parts)
    if not all(isinstance(part, IdColumn) for part in parts):
        parts = [_column(as_text(part)) for part in parts]
    codes, different = pd.factorize(np.concatenate([part.different for part in parts]))
    starts = np.cumsum([0, *(len(part.different) for part in parts)])
    return IdColumn(different, np.concatenate([codes[s:][p.codes] for s, p in zip(starts, parts, strict=False)]))


def _column(ids: Ids) -> IdColumn:
    if isinstance(ids, IdColumn):
        return ids
    codes, different = pd.factorize(ids)
    return IdColumn(different, codes)


def packed(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays that keep ids or titles in a file: numbers as they are, texts as bytes and where each ends."""
    if not is_text(values):
        return {name: values}
    words = [word.encode() for word in values.tolist()]
    ends = np.cumsum([len(word) for word in words], dtype=np.int64)
    return {f"{name}_bytes": np.frombuffer(b"".join(words), np.uint8), f"{name}_ends": ends}


def unpacked(name: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """The inverse of `packed`; KeyError or ValueError where the arrays are not what it gives."""
    if name in arrays:
        return arrays[name].astype(np.int64, casting="safe")
    content, ends = arrays[f"{name}_bytes"].tobytes(), arrays[f"{name}_ends"].tolist()
    return text_array(content[start:end].decode() for start, end in zip([0, *ends], ends, strict=False))
