"""What a client needs of a model, wherever it runs."""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gdns_tf.clients.errors import ServingError, printable
from pipelines.errors import InputError, require

LONGEST_TIMEOUT = 86_400.0
"""Seconds, a day: systems refuse waits of many years."""
LONGEST_ANSWER_MB = 32.0
"""What a server's answer may be long, in megabytes, unless told otherwise: lists of 1,000 items for 1,000 users by
REST, and no more memory than a stranger's answer should take (as JSON, some twenty times its length)."""


class Backend(abc.ABC):
    """A model whose signatures can be called. Safe to use from several threads."""

    merges: ClassVar[bool] = True
    """Whether requests may be merged with others on their way: then all inputs must have as many rows."""

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
        """Raises InputError for a model that cannot be asked for."""
        check_names(model=self.name, label=self.label or "none")
        if self.version is not None and self.label:
            raise InputError(f"version {self.version} and label {self.label!r}: give one of them")
        if self.version is not None:
            require(0 <= self.version < 2**63, "version", self.version, "must lie in [0, 2**63)")

    def __str__(self) -> str:
        version = "" if self.version is None else f" version {self.version}"
        return f"model {self.name!r}{version}{f' label {self.label!r}' if self.label else ''}"


def check_names(**names: str) -> None:
    """Raises InputError, naming the setting, for names of models or labels that there cannot be."""
    for setting, name in names.items():
        if not name or not name.isprintable():  # nor are halves of a surrogate pair
            raise InputError(f"`{setting}`={printable(ascii(name))} is no name of a model or a label")


@dataclass(frozen=True)
class Limits:
    """What a server may take of a client."""

    timeout: float = 10.0
    """Seconds for a call, with all its attempts and the pauses between them."""
    max_answer_mb: float = LONGEST_ANSWER_MB
    """Megabytes of an answer."""

    def __post_init__(self) -> None:
        """Raises InputError for what cannot be."""
        require(0 < self.timeout <= LONGEST_TIMEOUT, "timeout", self.timeout, "must be above 0, and at most a day")
        require(0 < self.max_answer_mb <= 2000, "max_answer_mb", self.max_answer_mb, "must be above 0, at most 2000")

    @property
    def answer_bytes(self) -> int:
        return int(1e6 * self.max_answer_mb)


def text_decoded(array: np.ndarray, name: str) -> np.ndarray:
    """The array of the output of this name, with str in place of bytes.

    Raises:
      ServingError: they are not UTF-8.
    """
    if array.dtype != object:
        return array
    decoded = np.empty(array.shape, object)
    try:
        decoded.flat = [value.decode() if isinstance(value, bytes) else value for value in array.flat]
    except UnicodeDecodeError:
        raise ServingError(f"output {name!r} holds text that is not UTF-8") from None
    return decoded


def check_outputs(answer: Mapping[str, object], outputs: Sequence[str], signature: str) -> None:
    """Raises ServingError unless the answer has all outputs."""
    if missing := [name for name in outputs if name not in answer]:
        raise ServingError(
            f"signature {signature!r} answers without {missing[0]!r}: this is not a model that gdns_tf.export wrote"
        )
