"""How many user-item pairs a run's gain table holds when the run ends."""

from pathlib import Path

import tensorflow as tf

from gdns_tf.runs.callbacks import Callback, RunView
from pipelines.atomic import write_text

_FILE = "held_pairs.txt"
_USERS_AT_ONCE = 256


class HeldPairs(Callback):
    """Writes the number into the run's folder."""

    def on_end(self, run: RunView) -> None:
        users, table = run.split.train.num_users, run.trainer.sampler.table
        parts = [tf.range(first, min(first + _USERS_AT_ONCE, users)) for first in range(0, users, _USERS_AT_ONCE)]
        write_text(run.folder.path / _FILE, f"{sum(len(table.visited(part)) for part in parts)}\n")


def read_held_pairs(folder: Path) -> int:
    """What `HeldPairs` wrote."""
    return int((folder / _FILE).read_text())
