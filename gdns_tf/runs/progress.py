"""The progress bar of a run."""

from gdns_tf.progress_bar import progress_bar
from gdns_tf.runs.callbacks import Callback, RunView, Validation


class ProgressBar(Callback):
    """Epochs, and time left at most, since early stopping may come first."""

    def on_start(self, run: RunView) -> None:
        self._bar = progress_bar(total=run.config.max_epochs, initial=run.epoch, unit="epoch")

    def on_epoch(self, run: RunView, loss: float) -> None:
        self._bar.update()

    def on_validation(self, run: RunView, validation: Validation) -> None:
        name = run.config.select
        values = {"loss": validation.loss, f"valid {name}": validation.metrics[name], "best": validation.best}
        values["popularity"] = run.popularity[name]
        self._bar.set_postfix({name: f"{value:.4f}" for name, value in values.items()})

    def close(self) -> None:
        if hasattr(self, "_bar"):
            self._bar.close()
