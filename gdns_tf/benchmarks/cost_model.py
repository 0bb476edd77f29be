"""What the cost curves come to: an exponent for each size, and a sum of terms that predicts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from gdns_tf.benchmarks.cost_point import Sizes
from pipelines.observed import MAX_BITMAP_BYTES

BATCH = 1024
"""Users a step of the recipe."""
Terms = Mapping[str, Callable[[Sizes], float]]
SECONDS: Terms = {
    "1": lambda s: 1.0,
    "users": lambda s: s.num_users,
    "users N": lambda s: s.num_users * s.group_size,
    "users M": lambda s: s.num_users * s.num_candidates,
    "users N d": lambda s: s.num_users * s.group_size * s.dim,
    "users N^2": lambda s: s.num_users * s.group_size**2,
    "steps items d": lambda s: steps(s) * s.num_items * s.dim,
}
"""What an epoch does: for each user, for each that is drawn of it, for each factor of those, for each pair of positive
and negative; and in each step once for every factor of every item, where the optimizer renews them all. Points
that vary one size at a time tell no more terms apart."""
MEMORY: Terms = {
    "1": lambda s: 1.0,
    "users": lambda s: s.num_users,
    "users d": lambda s: s.num_users * s.dim,
    "items d": lambda s: s.num_items * s.dim,
    "users items": lambda s: _bitmap(s),
    "batch M": lambda s: _batch(s) * s.num_candidates,
    "batch N d": lambda s: _batch(s) * s.group_size * s.dim,
    "batch N^2": lambda s: _batch(s) * s.group_size**2,
}
"""What lies in memory: Python and TensorFlow; the data and the gain table; factors; a bit for each pair of user and
item, by which it is told what is observed, unless those are too many; what is drawn for a batch; what a step holds."""


def _bitmap(sizes: Sizes) -> int:
    pairs = sizes.num_users * sizes.num_items
    return pairs if pairs <= 8 * MAX_BITMAP_BYTES else 0


def _batch(sizes: Sizes) -> int:
    return min(BATCH, sizes.num_users)


def steps(sizes: Sizes) -> int:
    """Steps an epoch."""
    return -(-sizes.num_users // BATCH)


@dataclass(frozen=True)
class PowerLaw:
    """y = fixed + factor x^exponent."""

    fixed: float
    factor: float
    exponent: float
    error: float
    """The root of the mean squared relative error."""

    def __call__(self, x: float | np.ndarray) -> float | np.ndarray:
        return self.fixed + self.factor * x**self.exponent


def power_law(x: Sequence[float], y: Sequence[float], *, with_fixed: bool = True) -> PowerLaw:
    """Fits a power law with a fixed cost: what does not grow with x.

    For each of many fixed costs from 0 to nearly the smallest y, the exponent and the factor are those of a line
    through the logarithms of x and of y less the fixed cost, by least squares. The fixed cost whose law has the least
    squared relative error counts. A curve that is flat has an exponent near 0 or a large fixed cost: what grows in it
    is then little more than noise.

    Args:
      x: [n] sizes, above 0.
      y: [n] costs, above 0.
      with_fixed: whether there is a fixed cost.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    shares = np.concatenate([[0.0], 1 - np.geomspace(1, 1e-3, 400)[1:]]) if with_fixed else [0.0]
    laws = []
    for fixed in np.multiply(shares, y.min()):
        exponent, log_factor = np.polyfit(np.log(x), np.log(y - fixed), 1)
        law = PowerLaw(float(fixed), float(np.exp(log_factor)), float(exponent), 0.0)
        error = float(np.sqrt(np.mean((law(x) / y - 1) ** 2)))
        laws.append(PowerLaw(law.fixed, law.factor, law.exponent, error))
    return min(laws, key=lambda law: law.error)


@dataclass(frozen=True)
class SumOfTerms:
    """A cost as a sum of terms, each a product of sizes by what one of it costs."""

    terms: Terms
    costs: Mapping[str, float]
    """Of each term, 0 or above."""
    error: float
    """The root of the mean squared relative error."""
    worst: float
    """The largest relative error."""

    def __call__(self, sizes: Sizes) -> float:
        return sum(cost * self.terms[name](sizes) for name, cost in self.costs.items())

    def __str__(self) -> str:
        return " + ".join(f"{c:.2e} {name}".removesuffix(" 1") for name, c in self.costs.items() if c) or "0"


def sum_of_terms(terms: Terms, points: Sequence[Sizes], values: Sequence[float]) -> SumOfTerms:
    """Fits the costs of the terms: least squares of the relative errors, none of the costs below 0.

    Args:
      terms: name -> of a point.
      points: [n].
      values: [n] measured costs, above 0.
    """
    values = np.asarray(values, float)
    table = np.array([[term(sizes) for term in terms.values()] for sizes in points], float) / values[:, None]
    scales = table.max(axis=0)  # else the largest products would leave the solver no digits for the others
    costs, _ = nnls(table / scales, np.ones(len(values)))
    fitted = dict(zip(terms, (costs / scales).tolist(), strict=True))
    errors = table @ (costs / scales) - 1
    return SumOfTerms(terms, fitted, float(np.sqrt(np.mean(errors**2))), float(np.abs(errors).max()))
