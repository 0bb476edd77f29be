"""Trains a recommender.

    python -m gdns_tf.train --recipe=ml1m --output_dir=runs/ml1m

The same command goes on with a run that was broken off.
"""

from gdns_tf.api import export_trained, train_model
from gdns_tf.command import Read, run_command
from gdns_tf.flagfiles import FOR_TRAINING
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.summary import format_metrics, format_recommendations
from gdns_tf.runs.train import settled
from gdns_tf.runs.warm_start import check_finished
from gdns_tf.serving.export import check_options
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.replicas.strategies import join
from pipelines.config import DataConfig
from pipelines.infer import infer
from pipelines.load import INGESTED, format_statistics, load_dataset
from pipelines.shares import even_share


def train(data: DataConfig, config: TrainConfig) -> dict:
    """Trains, or goes on with, the run in `config.output_dir`, and prints what came of it.

    Returns:
      What `metrics.json` holds.

    Raises:
      InputError: the data, the folder or that of the export cannot be used.
      gdns_tf.runs.interrupts.Interrupted: by SIGINT or SIGTERM, after saving.
    """
    if config.export_dir:
        check_options(config.export_dir, keep_versions=config.keep_versions)  # before anything that takes a while
    replicas = join(config.strategy, config.heartbeat_seconds)  # before TensorFlow works
    data = infer(data)  # which the run's flags then name
    folder = RunFolder(config.output_dir)

    def check_folder() -> None:
        RunFolder.open(data, config)
        if config.warm_start and not folder.has_checkpoint:
            check_finished(config.warm_start)

    with replicas.together():
        replicas.on_chief(check_folder)  # before the data is read

    def settle(num_users: int, num_items: int) -> None:
        nonlocal config
        with replicas.together():
            config = settled(folder, config, replicas, even_share(num_users, 0, replicas.count), num_items)

    # Data in shards is shared out by these, and quickly read: training settles it soon enough.
    split = load_dataset(data) if data.dataset == INGESTED else load_dataset(data, settle)
    if replicas.is_chief:
        print(format_statistics(split), flush=True)
    model = train_model(split, data, config)
    if replicas.is_chief:
        print(format_metrics(model.metrics))
        if config.show_users:
            print(format_recommendations(split, model.factors, config.show_users))
        curves = f" and curves are in {folder.path}: tensorboard --logdir {folder.tensorboard}"
        told = f"Weights, metrics{curves}" if config.tensorboard else f"Weights and metrics are in {folder.path}"
        print(told, flush=True)
    export_trained(model)
    return model.metrics


def main(read: Read) -> None:
    train(read(DataConfig), read(TrainConfig))


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [TrainConfig, DataConfig], recipes_in=FOR_TRAINING)


if __name__ == "__main__":
    run()
