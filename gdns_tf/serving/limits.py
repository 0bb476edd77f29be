"""How much a request may ask of a model. Nothing here needs TensorFlow; the graph's check is `request_checks.py`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gdns_tf.serving.contract import Signature
from pipelines.errors import require

MOST_PARTS = 1000
"""Rows of `describe`, of whose answer each may be the whole description."""


@dataclass(frozen=True)
class Limits:
    """What one request may ask for at most; the largest then takes some hundred megabytes.

    Whatever the memory, time grows with users times catalogue: at 100,000 items two cores score 10,000 users within
    some seconds, which is as long as a client waits.
    """

    users: int = 10_000
    """Rows: users, or items that others are like."""
    k: int = 10_000
    """Items a row is answered with, as many as a ranker that comes after retrieval can take."""
    ids: int = 100_000
    """Ids in a list: a history, candidates, what is excluded, what is chosen from."""

    def __post_init__(self) -> None:
        """Raises InputError for limits that no request could keep."""
        for name in ("users", "k", "ids"):
            require(1 <= getattr(self, name) < 2**31, f"max_{name}", getattr(self, name), "must lie in [1, 2**31)")

    @property
    def entries(self) -> int:
        """Numbers or ids in any input or output: 100 for each of the most users, or else one longest list."""
        return max(100 * self.users, self.k, self.ids)

    def told(self) -> dict[str, int]:
        """What `describe` says of them."""
        return {"users": self.users, "k": self.k, "ids": self.ids, "entries": self.entries}


def rows_that_fit(signature: Signature, limits: Mapping[str, int], sizes: Mapping[str, int]) -> int:
    """How many rows a request may have; 1 where even one is too much, which the model then says.

    Args:
      signature: what is asked.
      limits: as `describe` tells them.
      sizes: of all other axes of the inputs and outputs, by name.
    """
    tensors = (*signature.inputs, *signature.outputs)
    widest = max(math.prod(sizes[axis] for axis in tensor.axes[1:]) for tensor in tensors)
    return max(min(limits["users"], limits["entries"] // max(widest, 1)), 1)
