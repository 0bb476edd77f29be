"""`weights.npz`: the parameters of a trained scorer, as named arrays that any NumPy reads."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gdns_tf.models.factors import Factors
from gdns_tf.models.registry import SCORERS
from pipelines.atomic import whole
from pipelines.errors import InputError
from pipelines.interactions import Interactions
from pipelines.paths import AnyPath, as_path
from pipelines.readers.npz import read_arrays

_FACTORS = {"queries": ("num_users", "d"), "items": ("num_items", "d"), "dimension_weights": ("d",)}
"""What a file of a model that is no scorer holds: its factors."""


def save_arrays(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays to `path`, which appears whole or not at all."""
    with whole(path) as unfinished:
        np.savez(unfinished, **arrays)


def save_factors(path: str | os.PathLike, factors: Factors) -> None:
    """Writes the factors of a model that is no scorer."""
    save_arrays(path, {name: getattr(factors, name) for name in _FACTORS})


@dataclass(frozen=True)
class Weights:
    """What a file holds: the parameters of a scorer, or factors."""

    scorer: str
    """A key of SCORERS; empty for factors."""
    arrays: Mapping[str, np.ndarray]

    def factors(self, train: Interactions) -> Factors:
        """What they come to; `train` is what users are known by, for scorers that make a user of that."""
        if not self.scorer:
            return Factors(**self.arrays)
        with np.errstate(over="ignore", invalid="ignore"):  # which `Factors.fault` tells
            return SCORERS[self.scorer].factors(self.arrays, train)


def load_weights(path: str | os.PathLike, scorer: str = "") -> Weights:
    """Reads what `Scorer.arrays` gave, or `save_factors` wrote.

    Args:
      path: the file, on this machine or in an object store.
      scorer: a key of SCORERS; empty: told by the names of the arrays.

    Raises:
      InputError: the file is missing, damaged or not an `.npz`; an array is missing, not of real numbers, of a shape
        that does not fit the others, or holds a value that is not finite in float32.
    """
    path = as_path(path)
    found = _read(path)
    named = {name: SCORERS[name].parameters for name in ([scorer] if scorer else SCORERS)}
    fits = [name for name, axes in named.items() if axes.keys() <= found.keys()]
    if fits:
        best = max(fits, key=lambda name: len(named[name]))  # a scorer may have all the arrays of another, and more
        return Weights(best, _checked(path, found, named[best]))
    if found.keys() >= _FACTORS.keys():
        return Weights("", _checked(path, found, _FACTORS))
    missing = next(array for array in next(iter(named.values())) if array not in found)
    held = ", ".join(found) or "nothing"
    raise InputError(f"there is no array {missing} (it holds {held})", path=path, remedy=_REMEDY)


_REMEDY = "Give the weights.npz of a run, or an .npz file with the arrays of a scorer: P, Q and w for gmf."


def _read(path: AnyPath) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file, cast to float32 where they are of floating point."""
    if not path.is_file():
        raise InputError("there is no such file", path=path, remedy=_REMEDY)
    arrays = read_arrays(path, "an .npz file", _REMEDY)
    with np.errstate(over="ignore"):
        return {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in arrays.items()}


def _checked(
    path: AnyPath, arrays: Mapping[str, np.ndarray], expected: Mapping[str, tuple[str, ...]]
) -> dict[str, np.ndarray]:
    """The expected arrays, if they are of finite numbers and of shapes that fit together."""
    chosen = {name: arrays[name] for name in expected}
    for name, array in chosen.items():
        if array.dtype.kind != "f":
            raise InputError(f"{name} holds {array.dtype}, not floating-point numbers", path=path)
        if not np.isfinite(array).all():
            at = np.argwhere(~np.isfinite(array))[0].tolist()
            raise InputError(
                f"{name}{at} is {array[tuple(at)]}",
                path=path,
                remedy="The training diverged: train again, for example with a lower learning rate.",
            )
    sizes: dict[str, int] = {}
    for name, axes in expected.items():
        shape = chosen[name].shape
        if len(shape) != len(axes) or any(sizes.setdefault(a, n) != n for a, n in zip(axes, shape, strict=True)):
            shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in chosen.items())
            wanted = ", ".join(f"{name} [{', '.join(axes)}]" for name, axes in expected.items())
            raise InputError(f"the shapes {shapes} do not fit together: expected {wanted}", path=path)
    return chosen
