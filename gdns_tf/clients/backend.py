"""What a client needs of a model, wherever it runs."""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gdns_tf.clients.errors import ServingError


class Backend(abc.ABC):
    """A model whose signatures can be called. Safe to use from several threads."""

    @abc.abstractmethod
    def call(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Runs one signature.

        Args:
          signature: its name.
          inputs: all of its inputs, with the signature's dtypes; strings as `object` arrays of str.
          outputs: the names of all of its outputs.

        Returns:
          The outputs; strings as `object` arrays of str.

        Raises:
          ServingError: of the kind that fits.
        """

    def close(self) -> None:  # noqa: B027 (most have nothing to close)
        """Gives back connections."""


@dataclass(frozen=True)
class ModelSpec:
    """Which model of a server: by default the newest version, as the server sees it."""

    name: str = "gdns"
    version: int | None = None
    label: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a model that cannot be asked for."""
        if not self.name:
            raise ValueError("the model has no name")
        if self.version is not None and self.label:
            raise ValueError(f"version {self.version} and label {self.label!r}: give one of them")

    def __str__(self) -> str:
        version = "" if self.version is None else f" version {self.version}"
        return f"model {self.name!r}{version}{f' label {self.label!r}' if self.label else ''}"


def text_decoded(array: np.ndarray) -> np.ndarray:
    """The array, with str in place of bytes."""
    if array.dtype != object:
        return array
    decoded = np.empty(array.shape, object)
    decoded.flat = [value.decode() if isinstance(value, bytes) else value for value in array.flat]
    return decoded


def check_outputs(answer: Mapping[str, object], outputs: Sequence[str], signature: str) -> None:
    """Raises ServingError unless the answer has all outputs."""
    if missing := [name for name in outputs if name not in answer]:
        raise ServingError(
            f"signature {signature!r} answers without {missing[0]!r}: this is not a model that gdns_tf.export wrote"
        )
