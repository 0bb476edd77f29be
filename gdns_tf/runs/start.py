"""`start.npz`: the weights that a run began with which began from another's.

With it a run that is gone on with, and its second training, do not need the other run any more.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gdns_tf.models.weights_file import save_arrays
from pipelines.errors import InputError
from pipelines.paths import AnyPath
from pipelines.readers.npz import read_arrays

_TOLD = "told"
_WHAT, _REMEDY = "the weights that a run began from", "Start the run afresh with `overwrite`."


@dataclass(frozen=True)
class Start:
    """The weights that a run begins with, and what is to be told of them."""

    arrays: Mapping[str, np.ndarray]
    """As of the run's scorer: rows of former users and items as they were, of new ones as they are drawn for a run
    that begins afresh."""
    told: Mapping[str, object]
    """Of `metrics.json`: "run", "weights" (the fingerprint), "users" and "items", {"taken", "new", "gone"} each, and
    "leaked": see `gdns_tf.runs.leaks`."""

    def save(self, path: AnyPath) -> None:
        """Writes the file that `read_start` reads."""
        save_arrays(path, {**self.arrays, _TOLD: np.array(json.dumps(self.told))})


def read_start(path: AnyPath) -> Start:
    """Reads what `Start.save` wrote.

    Raises:
      InputError: the file is not there, or damaged.
    """
    arrays = read_arrays(path, _WHAT, _REMEDY)
    try:
        told = json.loads(str(arrays.pop(_TOLD)))
    except (ValueError, KeyError, RecursionError):
        raise InputError(f"not {_WHAT}", path=path, remedy=_REMEDY) from None
    return Start(arrays, told)
