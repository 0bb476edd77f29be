"""`Split.fingerprint` of a data set that lies in shards."""

import hashlib
from collections.abc import Iterable

import numpy as np


class Fingerprint:
    """Takes the arrays in the order of `pipelines.split.Split.fingerprint`, each in as many parts as it has."""

    def __init__(self, *, leaves_one_out: bool) -> None:
        self._digest = hashlib.sha256()
        if not leaves_one_out:
            self._digest.update(b"several held out")

    def add(self, parts: Iterable[np.ndarray], dtype: type = np.int64) -> None:
        for part in parts:
            self._digest.update(np.ascontiguousarray(part, dtype))

    def add_ids(self, ids: np.ndarray, at_once: int = 1 << 16) -> None:
        for start in range(0, len(ids), at_once):
            texts = ids[start : start + at_once].tolist()
            self._digest.update("".join(f"{raw_id}\0" for raw_id in texts).encode())

    def text(self) -> str:
        """16 hex digits."""
        return self._digest.hexdigest()[:16]
