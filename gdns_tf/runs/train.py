"""A run in one call: its folder, its callbacks, its training, its metrics."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from gdns_tf.evaluation.degenerate import degeneracy
from gdns_tf.evaluation.fitness import REMEDY, no_better_than_popularity
from gdns_tf.runs import leaks
from gdns_tf.runs.callbacks import Callback
from gdns_tf.runs.diagnostics import Diagnostics
from gdns_tf.runs.history import History
from gdns_tf.runs.lock import locked
from gdns_tf.runs.progress import ProgressBar
from gdns_tf.runs.remote import Uploads, mirrored
from gdns_tf.runs.run import Run
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.start import Start, read_start
from gdns_tf.runs.tensorboard.callback import TensorBoard
from gdns_tf.runs.tensorboard.finished import write_kept
from gdns_tf.runs.warm_start import Former, begin, former_run
from gdns_tf.samplers.given import Given
from gdns_tf.training.base import ScorerTrainer
from gdns_tf.training.build import build_trainer
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.replicas.base import ALONE, Replicas
from gdns_tf.training.replicas.strategies import join
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.load import IN_MEMORY, SAVED
from pipelines.notices import notices
from pipelines.paths import as_path, is_remote
from pipelines.readers import saved
from pipelines.shares import Share
from pipelines.split import Split
from pipelines.streamed import StreamedSplit, needs_all


def train(
    split: Split | StreamedSplit,
    data: DataConfig,
    config: TrainConfig,
    callbacks: Sequence[Callback] = (),
    *,
    progress: bool = True,
    former: Former | None = None,
) -> Run:
    """Trains, or goes on with, the run in `config.output_dir`, and writes its weights and metrics.

    Args:
      split: the data.
      data: how it was made, which the folder keeps; data that was read from no file it keeps itself.
      config: the settings; with `refit`, the run's second training is done too.
      callbacks: look on, after the run's own.
      progress: whether to show a progress bar, where there is a terminal or a notebook.
      former: what `config.warm_start` names, where it is no folder; see `gdns_tf.runs.warm_start`.

    Returns:
      The run, finished.

    With `config.strategy`=multiworker all workers call this alike, in a folder that all of them see, and all come back
    with the same run.

    One process, or cluster, at a time trains in a folder of this machine: see `gdns_tf.runs.lock`. In an object store,
    where nothing sees to that, the folder gets what is new at each checkpoint and at the end; see
    `gdns_tf.runs.remote`.

    Raises:
      InputError: the folder cannot be used, another process is at it, or it was made on other data or with other
        settings; of several workers, one cannot be used as the others.
      PeerLost: another worker is gone; started again, all go on together from the newest checkpoint.
      Interrupted: by SIGINT or SIGTERM, after saving.
      FloatingPointError: the training diverged.
    """
    streamed = isinstance(split, StreamedSplit)
    if config.warm_start and streamed:
        raise needs_all("`warm_start`, to look for held-out items that were learnt before,")
    replicas = join(config.strategy, config.heartbeat_seconds)
    data, keeps_data = data_of_run(data, config.output_dir)
    opened = folder = RunFolder(config.output_dir)
    uploads = []
    with ExitStack() as stack:
        stack.enter_context(replicas.together())
        replicas.on_chief(lambda: _lock(stack, data, config))
        share = shared_alike(split, replicas)
        config = settled(opened, config, replicas, share, split.train.num_items)
        # Both may find that settings do not go with the data: before `claim`.
        trainer, start, trained_on = _build(split, config, replicas), None, split.train
        begins = config.overwrite or not replicas.on_chief(lambda: opened.has_checkpoint)
        if config.warm_start and begins:
            former = former or former_run(config.warm_start)
            start, trained_on = begin(former, split, config, trainer.scorer)
        if is_remote(opened.path):
            notices.info("%s: a store knows no locks. See that no other process trains there.", opened.path)
            mirror = stack.enter_context(mirrored(opened, afresh=config.overwrite))
            folder, uploads = mirror.folder, [Uploads(mirror)]

        def claim() -> bool:
            folder.claim(data, config)
            if folder.has_checkpoint:
                return True
            if keeps_data:
                saved.save(split, folder.data)
            if not streamed:  # of which the folder of the data and its fingerprint say as much
                saved.save_interactions(trained_on, folder.trained_on)
            if start:
                start.save(folder.start)
            return False

        # With a checkpoint Run tells other data by its fingerprint.
        if replicas.on_chief(claim) and config.warm_start:
            start = read_start(folder.start)
        looks = [Diagnostics()] if config.has_sampler else []
        own = [History(), *([*looks, TensorBoard()] if config.tensorboard else [])]
        bars = [ProgressBar()] * progress
        looking = [*own, *bars, *callbacks, *uploads]
        run = Run(split, config, folder, looking, trainer=trainer, replicas=replicas)
        if config.has_sampler and config.uniform_epochs >= config.max_epochs:
            told = "`uniform_epochs`=%d of `max_epochs`=%d leave none in which `sampler`=%s chooses the negatives."
            notices.warning(told, config.uniform_epochs, config.max_epochs, config.sampler)
        if run.epoch:
            notices.info("Going on after epoch %d of %s", run.epoch, opened.path)
            if isinstance(config.sampler_config, Given):
                notices.warning("Whether the sampler is set up as it was when the run began cannot be told.")
        stopped_by = run.fit()
        if stopped_by == "max_minutes" and config.schedule != "constant":
            notices.warning("`max_minutes` ended the run before its rate had come down: set `max_epochs` to fewer.")
        metrics = run.finish(stopped_by, more={"warm_start": start.told} if start else None)
        if replicas.is_chief:
            if config.tensorboard:
                write_kept(folder, metrics, config.select)
            leaks.warn(metrics)
            _warn_if_unfit(run, metrics)
        if config.refit:
            refit(run, data, uploads, progress=progress, start=start)
        replicas.on_chief(lambda: None)  # nobody leaves before the others have all they need
    run.folder = opened  # which lasts
    return run


def _lock(stack: ExitStack, data: DataConfig, config: TrainConfig) -> None:
    """Has the folder of a run for this process alone until the stack is unwound."""
    opened = RunFolder.open(data, config)
    stack.enter_context(locked(opened.path))
    opened.prepare(data, config)  # another process may have been there in between


def settled(folder: RunFolder, config: TrainConfig, replicas: Replicas, share: Share, num_items: int) -> TrainConfig:
    """A run with what it leaves open decided, by the chief for all workers: see `RunFolder.settled`.

    Args:
      folder: of the run.
      config: the run.
      replicas: those that train together.
      share: of one of them.
      num_items: how many there are.
    """
    own_users = replicas.most_users(share)

    def decided() -> dict[str, object]:
        before, after = config.settings(), folder.settled(config, own_users, num_items).settings()
        return {name: value for name, value in after.items() if value != before[name]}

    changes = replicas.on_chief(decided)
    return config.with_settings(**changes) if changes else config


def _build(split: Split, config: TrainConfig, replicas: Replicas) -> ScorerTrainer:
    return build_trainer(split.train, config, *([] if replicas is ALONE else [replicas]))


def shared_alike(split: Split | StreamedSplit, replicas: Replicas) -> Share:
    """The share of this process' first replica, of data that is the same and is shared out alike in all processes.

    Raises:
      InputError: it is not, or cannot be shared out among so many.
    """
    share = replicas.shares(split.train)[0]
    _tell_of_unevenness(share, replicas)
    if replicas.workers == 1:
        return share
    found = replicas.everywhere(lambda: [split.fingerprint, share.starts])
    for worker, (fingerprint, starts) in enumerate(found):
        if fingerprint != found[0][0]:
            problem = f"worker {worker} has data {fingerprint}, and the chief {found[0][0]}"
            raise InputError(problem, remedy="Give all workers the same data, by the same flags.")
        if starts != found[0][1]:
            problem = f"worker {worker} has the same data in other shards than the chief"
            raise InputError(problem, remedy="Give all workers the same folder, or copies of it.")
    return share


def _tell_of_unevenness(share: Share, replicas: Replicas) -> None:
    """Says so where replicas wait for one of them: each has as many steps to go through its users as the others."""
    most, even = max(share.sizes), share.starts[-1] / share.of
    if most > 1.25 * even + 1 and replicas.is_chief:
        notices.warning(
            "One of the %d replicas has %s users, %.1f times an even share, and in every step the others wait "
            "for it. Ingest into more shards (pipelines.ingest, --shards), best several times %d.",
            *(share.of, f"{most:,} of {share.starts[-1]:,}", most / even, share.of),
        )


def _warn_if_unfit(run: Run, metrics: dict) -> None:
    """Says so where the model is not one to serve; `metrics` is what `Run.finish` returned."""
    select, best = run.config.select, run.best
    clauses = [degeneracy(best)]
    if not metrics["valid"][select] > run.popularity[select]:
        clauses.append(no_better_than_popularity(best, run.measured_on, select))
    if found := "; ".join(clause for clause in clauses if clause):
        told = "The model is no better than a list of the most popular items, which costs nothing: %s. %s Until then"
        notices.warning(f"{told} it is not exported, unless by `export_anyway`.", found, REMEDY)


def data_of_run(data: DataConfig, output_dir: str) -> tuple[DataConfig, bool]:
    """How a run's flags name its data, and whether its folder keeps the data itself, as `data.npz`.

    It does so where the data was read from no file, so that whatever reads the run finds it; and where it was read from
    that very file, so that a run that starts afresh does not lose it.
    """
    own = str(RunFolder(output_dir).data)
    keeps = data.dataset == IN_MEMORY or (data.dataset == SAVED and str(as_path(data.data_dir)) == own)
    return (DataConfig(dataset=SAVED, data_dir=own), True) if keeps else (data, False)


def refit(
    run: Run,
    data: DataConfig,
    callbacks: Sequence[Callback] = (),
    *,
    progress: bool = True,
    start: Start | None = None,
) -> Run:
    """Trains once more with the held-out items included, for as many epochs as validation chose.

    Its weights are what is exported. They cannot be evaluated, for nothing is held out; the metrics are those of the
    first training. The learning rate goes as it went there. Where that began from a former run's weights, this begins
    from the very same: the epochs were chosen for a training from there.

    Args:
      run: the first training, finished. The second one's folder is `refit` in its folder.
      data: how its data was made.
      callbacks: look on.
      progress: whether to show a progress bar.
      start: what the first training began with, if it began from another run's weights.
    """
    whole = run.split.with_all_in_training()
    config = replace(
        run.config,
        output_dir=str(RunFolder(run.config.output_dir).refit.path),
        max_minutes=0.0,
        tensorboard=False,
        refit=False,
        overwrite=False,
        export_dir="",
    )
    folder, looks = run.folder.refit, [*([ProgressBar()] * progress), *callbacks]

    def begun(config: TrainConfig) -> Run:
        def claim() -> None:
            folder.prepare(data, config)
            folder.claim(data, config)

        run.replicas.on_chief(claim)
        trainer = _build(whole, config, run.replicas)
        if start:
            trainer.scorer.assign(start.arrays)
        return Run(whole, config, folder, looks, trainer=trainer, last_epoch=run.best_epoch, replicas=run.replicas)

    again = begun(config)
    if again.epoch > run.best_epoch:  # more epochs were chosen when it was last done
        again = begun(replace(config, overwrite=True))
    notices.info("Training once more, %d epochs, with the held-out items included", run.best_epoch)
    again.fit()

    def write() -> None:
        folder.metrics.unlink(missing_ok=True)  # by which the weights count as those of so many epochs
        again.save_weights()
        folder.write_metrics({"epochs": again.epoch, "data_fingerprint": whole.fingerprint})

    run.replicas.on_chief(write)
    return again
