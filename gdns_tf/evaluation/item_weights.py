"""Models that score an item by what a user has and how much each of that speaks for it: neighbourhoods, SLIM, EASE."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class ItemWeights:
    """Scores of all users and items as `histories @ weights`, which no factors of low rank come to.

    Scores are made for the users that are asked for, never for all at once: with dense weights that reads num_items
    floats for each interaction. Each is summed in the order of its user's
    items, so that two items with the same weights get the same score to the last bit, and no noise breaks their tie.

    Raises:
      ValueError: the shapes do not fit together.
    """

    histories: sparse.csr_matrix
    """[num_users, num_items] float32: 1 for what a user has."""
    weights: np.ndarray | sparse.csr_matrix
    """[num_items, num_items] float32: at [i, j], how much having i speaks for j."""

    def __post_init__(self) -> None:
        num_items = self.histories.shape[1]
        if self.weights.shape != (num_items, num_items):
            raise ValueError(
                f"weights of shape {list(self.weights.shape)} do not fit {num_items} items: expected one for each pair"
            )

    @property
    def num_users(self) -> int:
        return self.histories.shape[0]

    @property
    def num_items(self) -> int:
        return self.histories.shape[1]

    def of_users(self, users: slice | np.ndarray) -> "ItemWeights":
        """The same model of some users alone, in the given order: a slice, or [n] numbers."""
        return replace(self, histories=self.histories[users])

    def scores(self, users: slice | np.ndarray) -> np.ndarray:
        """[num_users of them, num_items] float32."""
        found = self.histories[users] @ self.weights
        return found.toarray() if sparse.issparse(found) else found
