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

_TOLD = "told"


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
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return Start(arrays, json.loads(str(arrays.pop(_TOLD))))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(
            f"the weights that the run began from cannot be read ({error})",
            path=path,
            remedy="Start the run afresh with `overwrite`.",
        ) from None
