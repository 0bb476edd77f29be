"""What a task hands on: facts and arrays in one file, of numbers and text alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pipelines.atomic import whole
from pipelines.paths import AnyPath

_FACTS = "facts"


@dataclass(frozen=True)
class Result:
    """Facts are what JSON holds, arrays of any numbers."""

    facts: Mapping = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    def write(self, path: AnyPath) -> None:
        """Raises StorageError where it cannot be written."""
        facts = np.frombuffer(json.dumps(self.facts).encode(), np.uint8)
        with whole(path) as unfinished, unfinished.open("wb") as file:
            np.savez(file, **{_FACTS: facts}, **self.arrays)

    @classmethod
    def read(cls, path: AnyPath) -> "Result":
        """What `write` wrote."""
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return cls(json.loads(arrays.pop(_FACTS).tobytes()), arrays)
