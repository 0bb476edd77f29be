"""Baselines by name, with options for data that nobody has tuned them on: what `gdns_tf.evaluate` compares with.

Where the best option depends on the size of the data it comes from a rule, found on validation items of MovieLens-1M,
of a tenth of its users, of Pinterest and of planted data. That is sensible, not tuned: a model that is ahead of a
baseline here may not be ahead of it tuned. The study `peers` tunes them as it tunes ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature

from gdns_tf.evaluation.baselines import BASELINES
from gdns_tf.evaluation.model import Model
from pipelines.errors import InputError
from pipelines.interactions import Interactions
from pipelines.memory import require_memory
from pipelines.nearest import did_you_mean


@dataclass(frozen=True)
class Untuned:
    """One entry of the registry."""

    baseline: str
    """A key of `BASELINES`."""
    rule: Callable[[Interactions], dict[str, float]] = lambda train: {}
    """The options that depend on the data, or are better than the defaults on data of any size."""
    memory: Callable[[Interactions], float] = lambda train: 0.0
    """Bytes, estimated, where they may be more than the data's own."""


def _ease(train: Interactions) -> dict[str, float]:
    """Where items have more users, more noise is to be held down, but more is known: lambda goes by the square root."""
    return {"regularization": _rounded(40 * _users_an_item(train) ** 0.5)}


def _ials_scaled(train: Interactions, alpha0: float = 0.2) -> dict[str, float]:
    """The L2 of a user comes to 4 on average, however large the catalogue is that each of them is weighed against."""
    weight = train.counts.mean() + alpha0 * train.num_items
    return {"alpha0": alpha0, "regularization": _rounded(4 / weight)}


def _users_an_item(train: Interactions) -> float:
    return train.num_interactions / train.num_items


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


UNTUNED: dict[str, Untuned] = {
    "popularity": Untuned("popularity"),
    "itemknn": Untuned("knn"),
    # The counts of pairs of items, dense and sparse, and what LAPACK copies: 3 matrices of float32.
    "ease": Untuned("ease", _ease, lambda train: 12.0 * train.num_items**2),
    "ials": Untuned("ials", lambda train: {"alpha": 5.0, "regularization": 20.0}),
    "ials_scaled": Untuned("ials_scaled", _ials_scaled),
    "bpr": Untuned("bpr"),
    "warp": Untuned("warp"),
}
"""Name -> what it is; a new one needs its line here to be compared with."""


@dataclass(frozen=True)
class Fitted:
    """A baseline that was fitted."""

    model: Model
    options: dict[str, float]
    """All that it ran with."""


def fit_untuned(name: str, train: Interactions, *, dim: int, seed: int = 0) -> Fitted:
    """Fits a baseline by options for data that it was not tuned on.

    Args:
      name: a key of `UNTUNED`.
      train: the interactions.
      dim: d, of baselines that learn factors: that of the model they stand beside.
      seed: theirs.

    Raises:
      InputError: there is no such baseline, its package is not installed, or it would not fit into memory.

    Example:
      fit_untuned("ease", split.train, dim=64).options  # {"regularization": 505.0}
    """
    check_untuned(name)
    untuned = UNTUNED[name]
    baseline = BASELINES[untuned.baseline]
    remedy = f"Compare with another: {', '.join(other for other in UNTUNED if other != name)}."
    require_memory(untuned.memory(train), f"{name} of {train.num_items:,} items", remedy)
    options = untuned.rule(train)
    model = baseline(train, dim=dim, seed=seed, **options)
    defaults = {key: parameter.default for key, parameter in list(signature(baseline.fit).parameters.items())[1:]}
    of_factors = {"dim": dim, "seed": seed} if baseline.learns_factors else {}
    return Fitted(model, defaults | options | of_factors)


def check_untuned(name: str) -> None:
    """Raises InputError where there is no such baseline, or its package is not installed; takes no time."""
    if name not in UNTUNED:
        raise InputError(
            f"there is no baseline {name!r}{did_you_mean(name, UNTUNED)}", remedy=f"Choose among {', '.join(UNTUNED)}."
        )
    BASELINES[UNTUNED[name].baseline].check()
