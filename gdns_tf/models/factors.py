"""What any trained model comes to for ranking: a query for each user and factors for each item."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class HistorySum:
    """How a user's query comes from what they have: |C|^-power * sum of the items' vectors."""

    vectors: np.ndarray
    """[num_items, d] float32."""
    power: float


@dataclass(frozen=True)
class Factors:
    """Scores of all users and items as inner products: `queries @ items.T`.

    Raises:
      ValueError: the shapes do not fit together.

    Example:
      popularity = Factors(np.ones((num_users, 1)), counts[:, None])
    """

    queries: np.ndarray
    """[num_users, d] float32."""
    items: np.ndarray
    """[num_items, d] float32."""
    dimension_weights: np.ndarray | None = None
    """[d] float32: what each dimension counts for between items, whose likeness is the cosine of `items *
    dimension_weights`; None becomes ones."""

    encoder: HistorySum | None = None
    """Where queries come from histories: how, so that a new user is served as a trained one is."""

    def __post_init__(self) -> None:
        weights = self.dimension_weights
        shapes = [np.shape(part) for part in (self.queries, self.items)]
        shapes.append(shapes[1][-1:] if weights is None else np.shape(weights))
        if [len(shape) for shape in shapes] != [2, 2, 1] or len({shape[-1] for shape in shapes}) != 1:
            found = ", ".join(str(list(shape)) for shape in shapes)
            raise ValueError(
                f"queries, items and dimension weights of shapes {found} do not fit together: expected "
                "[num_users, d], [num_items, d], [d]"
            )
        if weights is None:
            weights = np.ones(shapes[1][-1])
        for name, part in (("queries", self.queries), ("items", self.items), ("dimension_weights", weights)):
            object.__setattr__(self, name, np.ascontiguousarray(part, np.float32))

    @property
    def num_users(self) -> int:
        return len(self.queries)

    @property
    def num_items(self) -> int:
        return len(self.items)

    @property
    def dim(self) -> int:
        return self.items.shape[1]

    def of_users(self, users: slice | np.ndarray) -> "Factors":
        """The same model of some users alone, in the given order: a slice, or [n] numbers."""
        return replace(self, queries=self.queries[users])

    def fault(self) -> str:
        """What keeps this from being a model, whatever the data: a clause, empty where nothing does.

        A factor is NaN or infinite; or one is so large that a score may exceed float32, in which every server
        calculates: of such scores not even the order is known.
        """
        parts = {"users": self.queries, "items": self.items, "dimensions": self.dimension_weights[:, None]}
        if self.encoder is not None:
            parts["items' vectors of histories"] = self.encoder.vectors
        norms = {}
        for whose, part in parts.items():
            # No square of a float32 exceeds a float64; and no copy is made in float64.
            norms[whose] = np.sqrt(np.einsum("nd,nd->n", part, part, dtype=np.float64))
            if count := np.count_nonzero(~np.isfinite(norms[whose])):
                return f"the factors of {count:,} of {len(part):,} {whose} hold NaN or infinity"
        largest = norms["users"].max(initial=0) * norms["items"].max(initial=0)
        if not largest < np.finfo(np.float32).max / 2:
            return f"scores may reach {largest:.2g}, beyond float32"
        return ""

    def without_padding(self, num_items: int) -> "Factors":
        """Without rows of `items` beyond the last item, if those are zero but for rounding.

        Some implementations keep such a row to pad lists of items with (ENMF's published model does).
        """
        extra = np.abs(self.items[num_items:])
        if extra.size and extra.max() < 1e-6 * np.abs(self.items).max():
            return replace(self, items=self.items[:num_items])
        return self
