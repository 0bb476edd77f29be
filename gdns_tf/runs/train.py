"""A run in one call: its folder, its callbacks, its training, its metrics."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from gdns_tf.runs.callbacks import Callback
from gdns_tf.runs.diagnostics import Diagnostics
from gdns_tf.runs.history import History
from gdns_tf.runs.progress import ProgressBar
from gdns_tf.runs.remote import Uploads, mirrored
from gdns_tf.runs.run import Run
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.tensorboard import TensorBoard
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.load import IN_MEMORY
from pipelines.notices import notices
from pipelines.paths import is_remote
from pipelines.readers import saved
from pipelines.split import Split


def train(
    split: Split, data: DataConfig, config: TrainConfig, callbacks: Sequence[Callback] = (), *, progress: bool = True
) -> Run:
    """Trains, or goes on with, the run in `config.output_dir`, and writes its weights and metrics.

    Args:
      split: the data.
      data: how it was made, which the folder keeps; data that was read from no file it keeps itself.
      config: the settings; with `refit`, the run's second training is done too.
      callbacks: look on, after the run's own.
      progress: whether to show a progress bar, where there is a terminal or a notebook.

    Returns:
      The run, finished.

    In an object store the folder gets what is new at each checkpoint and at the end; see `gdns_tf.runs.remote`.

    Raises:
      InputError: the folder cannot be used, or was made on other data or with other settings.
      Interrupted: by SIGINT or SIGTERM, after saving.
      FloatingPointError: the training diverged.
    """
    in_memory = data.dataset == IN_MEMORY
    if in_memory:  # then the folder keeps the data itself, so that whatever reads the run finds it
        data = DataConfig(dataset="saved", data_dir=str(RunFolder(config.output_dir).data))
    opened = folder = RunFolder.open(data, config)
    uploads = []
    with ExitStack() as stack:
        if is_remote(opened.path):
            mirror = stack.enter_context(mirrored(opened, afresh=config.overwrite))
            folder, uploads = mirror.folder, [Uploads(mirror)]
        folder.claim(data, config)
        if in_memory and not folder.has_checkpoint:  # with one, Run tells other data by its fingerprint
            saved.save(split, folder.data)
        looks = [Diagnostics()] if config.objective == "pairs" else []
        own = [History(), *([*looks, TensorBoard()] if config.tensorboard else [])]
        run = Run(split, config, folder, [*own, *([ProgressBar()] * progress), *callbacks, *uploads])
        if run.epoch:
            notices.info("Going on after epoch %d of %s", run.epoch, opened.path)
        run.finish(run.fit())
        if config.refit:
            refit(run, data, uploads, progress=progress)
    run.folder = opened  # which lasts
    return run


def refit(run: Run, data: DataConfig, callbacks: Sequence[Callback] = (), *, progress: bool = True) -> Run:
    """Trains once more with the held-out items included, for as many epochs as validation chose.

    Its weights are what is exported. They cannot be evaluated, for nothing is held out; the metrics are those of the
    first training.

    Args:
      run: the first training, finished. The second one's folder is `refit` in its folder.
      data: how its data was made.
      callbacks: look on.
      progress: whether to show a progress bar.
    """
    whole = replace(run.split, train=run.split.all_interactions())
    config = replace(
        run.config,
        output_dir=str(RunFolder(run.config.output_dir).refit.path),
        max_epochs=run.best_epoch,
        max_minutes=0.0,
        tensorboard=False,
        refit=False,
        export_dir="",
    )
    config = replace(config, overwrite=run.folder.refit.epochs_wanted() != run.best_epoch)
    folder = run.folder.refit
    folder.prepare(data, config)
    folder.claim(data, config)
    again = Run(whole, config, folder, [*([ProgressBar()] * progress), *callbacks], validates=False)
    notices.info("Training once more, %d epochs, with the held-out items included", run.best_epoch)
    again.fit()
    again.save_weights()
    return again
