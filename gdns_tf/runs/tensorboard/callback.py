"""Writes what TensorBoard shows of a run while it trains."""

from collections.abc import Collection

from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from gdns_tf.runs.callbacks import Callback, RunView, Validation
from gdns_tf.runs.tensorboard import tags
from gdns_tf.runs.tensorboard.events import EventFile
from gdns_tf.runs.tensorboard.hparams import FIRST, experiment_summary, row_of, session_summary
from gdns_tf.runs.tensorboard.layout import layout_summary
from gdns_tf.runs.tensorboard.projector import write_projector
from gdns_tf.runs.tensorboard.texts import text_summaries


class TensorBoard(Callback):
    """Writes into the `tensorboard` folder of the run; `finished.write_kept` adds what came of it."""

    def __init__(self, first_columns: Collection[str] = FIRST) -> None:
        """Args:
        first_columns: settings that come first in the HParams tab.
        """
        self._first_columns = first_columns

    def on_start(self, run: RunView) -> None:
        folder, self._has_layout = run.folder.tensorboard, False
        is_new = not run.epoch or not any(folder.glob("events*"))
        self._events = EventFile(folder, after=run.epoch)
        if is_new:
            self._events.add(
                0,
                experiment_summary(run.config.select, self._first_columns),
                session_summary(run.config.output_dir, row_of(run.split.name, run.config)),
                *text_summaries(run.split, run.config, run.folder.flags.read_text(), run.popularity),
            )

    def on_epoch(self, run: RunView, loss: float) -> None:
        told = "Mean over the last epoch, of a user or, if pairs, of a pair; without regularisation."
        self._events.add(run.epoch, scalar_pb(tags.LOSS, loss, told))

    def on_validation(self, run: RunView, validation: Validation) -> None:
        select, diagnostics = run.config.select, validation.diagnostics
        summaries = tags.validation_summaries(validation.metrics, run.popularity, select)
        summaries += [scalar_pb(tags.of_sampler(name), value) for name, value in diagnostics.items()]
        for name, values in validation.histograms.items():
            if values.shape[0]:
                summaries.append(histogram_pb(tags.of_sampler(name), values.numpy()))
        if not self._has_layout:
            summaries.append(layout_summary([*validation.metrics], run.popularity, select, diagnostics))
            self._has_layout = True
        self._events.add(validation.epoch, *summaries)

    def on_save(self, run: RunView) -> None:
        self._events.flush()

    def on_end(self, run: RunView) -> None:
        write_projector(run.folder.tensorboard, run.best, run.split.train)

    def close(self) -> None:
        if hasattr(self, "_events"):
            self._events.close()
