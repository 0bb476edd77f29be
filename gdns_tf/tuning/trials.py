"""One trial: a training run that can be pruned, broken off and gone on with."""

from collections.abc import Callable, Collection, Sequence

import optuna

from gdns_tf.runs.callbacks import Callback, RunView, Validation
from gdns_tf.runs.diagnostics import Diagnostics
from gdns_tf.runs.history import History
from gdns_tf.runs.lock import locked
from gdns_tf.runs.run import Run
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.tensorboard.callback import TensorBoard
from gdns_tf.runs.tensorboard.finished import write_kept
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.split import Split


class Watch(Callback):
    """Tells Optuna of each validation, ends the run where that says so, and breaks it off when it is to stop.

    Must come last, so that all others have seen a validation that the run is pruned at.
    """

    def __init__(self, trial: optuna.Trial, is_to_stop: Callable[[], bool], prunable: bool = True) -> None:
        """Args:
        trial: what to tell.
        is_to_stop: asked after every epoch.
        prunable: whether Optuna may end it.
        """
        self._trial, self._is_to_stop, self._prunable = trial, is_to_stop, prunable

    def on_epoch(self, run: RunView, loss: float) -> None:
        if self._is_to_stop():
            run.interrupt()

    def on_validation(self, run: RunView, validation: Validation) -> None:
        """Raises optuna.TrialPruned where the trial is not worth finishing."""
        self._trial.report(validation.metrics[run.config.select], validation.epoch)
        if self._prunable and _is_telling(validation.epoch, run.config) and self._trial.should_prune():
            raise optuna.TrialPruned(
                f"pruned after epoch {validation.epoch}: its best validation, {run.config.select} "
                f"{validation.best:.4f}, is below the median of its peers by then"
            )


def _is_telling(epoch: int, config: TrainConfig) -> bool:
    """Whether a validation tells how the trial will end.

    While a cosine schedule's rate is high the most careful settings look worst: so not in its first quarter. Of the
    last epoch nothing is to be saved.
    """
    first = config.max_epochs / 4 if config.schedule == "cosine" else 3 * config.eval_every
    return first <= epoch < config.max_epochs


class TrialTensorBoard(TensorBoard):
    """Without the items' embeddings, which would take much disk for nothing."""

    def on_end(self, run: RunView) -> None:
        pass


def run_trial(
    split: Split, data: DataConfig, config: TrainConfig, callbacks: Sequence[Callback], searched: Collection[str]
) -> tuple[Run, str]:
    """Trains, or goes on with, a trial in `config.output_dir`, an ordinary run but that test is not looked at.

    Args:
      split: the data.
      data: how it was made.
      config: the settings.
      callbacks: look on, after the run's own.
      searched: settings in which trials differ.

    Returns:
      The run, and what stopped it.

    Raises:
      optuna.TrialPruned: by `Watch`.
      InputError: the settings do not go with each other or with the data.
      gdns_tf.runs.interrupts.Interrupted: by a signal or `Watch`, after saving.
      FloatingPointError: the training diverged.
    """
    folder = RunFolder.open(data, config)
    with locked(folder.path):
        config = folder.settled(config, split.train.num_users, split.train.num_items)
        folder.claim(data, config)
        looks = [Diagnostics()] if config.has_sampler else []
        own = [History(), *([*looks, TrialTensorBoard(searched)] if config.tensorboard else [])]
        run = Run(split, config, folder, [*own, *callbacks])
        stopped_by = run.fit()
        metrics = run.finish(stopped_by, held_out=("valid",))
        if config.tensorboard:
            write_kept(folder, metrics, config.select)
    return run, stopped_by
