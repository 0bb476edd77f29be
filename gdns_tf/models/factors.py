"""The parameters of a trained GMF model (Eq. 2), as NumPy arrays and as a file."""

import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.errors import InputError

_AXES = {"P": "[num_users, d]", "Q": "[num_items, d]", "w": "[d]"}


@dataclass(frozen=True)
class Weights:
    """GMF scores user u and item i as `sum_k w[k] * P[u, k] * Q[i, k]`.

    Raises:
      ValueError: the shapes do not fit together.
    """

    P: np.ndarray
    """[num_users, d] float32: user factors."""
    Q: np.ndarray
    """[num_items, d] float32: item factors."""
    w: np.ndarray
    """[d] float32: weight of each factor."""

    def __post_init__(self) -> None:
        shapes = {name: np.shape(getattr(self, name)) for name in _AXES}
        if [len(shape) for shape in shapes.values()] != [2, 2, 1] or len({shape[-1] for shape in shapes.values()}) != 1:
            found = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
            expected = ", ".join(f"{name} {axes}" for name, axes in _AXES.items())
            raise ValueError(f"the shapes {found} do not fit together: expected {expected}")
        for name in _AXES:
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.float32))

    @property
    def num_users(self) -> int:
        return len(self.P)

    @property
    def num_items(self) -> int:
        return len(self.Q)

    @property
    def query(self) -> np.ndarray:
        """[num_users, d] float32: `P * w`, so that `query @ Q.T` are the scores."""
        return self.P * self.w

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Weights":
        """Reads an `.npz` file with the arrays P, Q and w, as `save` writes it.

        Raises:
          InputError: the file is missing, damaged or not an `.npz`; an array is missing, not of real numbers, of a
            shape that does not fit the others, or holds a value that is not finite in float32.
        """
        arrays = _read_arrays(Path(path))
        for name, array in arrays.items():
            if array.dtype.kind != "f":
                raise InputError(f"{name} holds {array.dtype}, not floating-point numbers", path=path)
            if not np.isfinite(array).all():
                at = np.argwhere(~np.isfinite(array))[0].tolist()
                raise InputError(
                    f"{name}{at} is {array[tuple(at)]}",
                    path=path,
                    remedy="The training diverged: train again, for example with a lower learning rate.",
                )
        try:
            return cls(**arrays)
        except ValueError as error:
            raise InputError(str(error), path=path) from None

    def save(self, path: str | os.PathLike) -> None:
        """Writes the arrays to `path`, which appears whole or not at all."""
        path = Path(path)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with unfinished.open("wb") as file:
                np.savez(file, P=self.P, Q=self.Q, w=self.w)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays P, Q and w of an `.npz` file, cast to float32 where they are of floating point."""
    remedy = "Give the weights.npz of a run, or an .npz file with the arrays P, Q and w."
    if not path.is_file():
        raise InputError("there is no such file", path=path, remedy=remedy)
    if not zipfile.is_zipfile(path):
        raise InputError("this is not an .npz file, or only the beginning of one", path=path, remedy=remedy)
    try:
        with np.load(path, allow_pickle=False) as file:
            if missing := [name for name in _AXES if name not in file.files]:
                held = ", ".join(file.files) or "nothing"
                raise InputError(f"there is no array {missing[0]} (it holds {held})", path=path, remedy=remedy)
            arrays = {name: np.asarray(file[name]) for name in _AXES}
    except InputError:
        raise
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"cannot be read as an .npz file: {error}", path=path, remedy=remedy) from None
    with np.errstate(over="ignore"):
        return {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in arrays.items()}
