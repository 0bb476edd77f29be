"""What is written of a run when it is finished."""

import shutil
from collections.abc import Mapping

import numpy as np
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.tensorboard import tags
from gdns_tf.runs.tensorboard.events import EventFile
from gdns_tf.runs.tensorboard.hparams import experiment_summary, kept_summaries, session_summary
from gdns_tf.runs.tensorboard.layout import layout_summary
from pipelines.atomic import writing

KEPT = ".kept"
"""What the names of files end in that hold the figures of a finished run: one that is gone on with has others."""


def write_kept(folder: RunFolder, metrics: Mapping[str, object], select: str) -> None:
    """Adds the figures of the weights that were kept to a run's logs, in place of former ones.

    Args:
      folder: of the run.
      metrics: what its `metrics.json` holds.
      select: the metric that its weights were chosen by.
    """
    with writing(folder.tensorboard):
        for former in folder.tensorboard.glob(f"events*{KEPT}"):
            former.unlink()
    with EventFile(folder.tensorboard, after=metrics["epochs"], suffix=KEPT) as events:
        events.add(metrics["best_epoch"], *kept_summaries(metrics, select))


def write_log(
    folder: RunFolder,
    settings: Mapping[str, object],
    metrics: Mapping[str, object],
    history: Mapping[str, np.ndarray],
    select: str,
) -> None:
    """Writes the logs of a run that was trained without, from what else it left behind, in place of former ones.

    Args:
      folder: of the run.
      settings: by column of the HParams tab.
      metrics: what its `metrics.json` holds.
      history: what its `history.csv` holds; empty where nothing was trained by epochs.
      select: the metric that its weights were chosen by.
    """
    shutil.rmtree(folder.tensorboard, ignore_errors=True)
    names = [name for name in history if name not in ("epoch", "seconds", "loss")]
    level = metrics.get("popularity", {}).get("valid", {})
    with EventFile(folder.tensorboard, after=0) as events:
        events.add(0, experiment_summary(select), session_summary(str(folder.path), settings))
        if names:
            events.add(0, layout_summary(names, level, select, ()))
        for row, epoch in enumerate(history.get("epoch", ())):
            at = {name: float(history[name][row]) for name in names}
            loss = scalar_pb(tags.LOSS, float(history["loss"][row]))
            events.add(int(epoch), loss, *tags.validation_summaries(at, level, select))
    write_kept(folder, metrics, select)
