"""Trains a recommender: `python -m gdns_tf.train --flagfile=configs/ml1m.flags --output_dir=RUN`."""

import sys

from absl import app, logging

from gdns_tf.flags import define, from_flags
from gdns_tf.runs.run import Interrupted, Run
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.summary import format_metrics, format_recommendations
from gdns_tf.serving.export import export_run
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig
from pipelines.errors import InputError
from pipelines.load import format_statistics, load_dataset


def train(data: DataConfig, config: TrainConfig) -> dict:
    """Trains, or goes on with, the run in `config.output_dir`.

    Returns:
      What `metrics.json` holds.

    Raises:
      InputError: the data, the folder or that of the export cannot be used.
      gdns_tf.runs.run.Interrupted: by SIGINT or SIGTERM, after saving.
    """
    folder = RunFolder.open(data, config)
    dataset = load_dataset(data)
    print(format_statistics(dataset), flush=True)
    folder.claim(data, config)
    run = Run(dataset, config, folder)
    if run.epoch:
        print(f"Going on after epoch {run.epoch} of {folder.path}", flush=True)
    metrics = run.finish(run.fit())
    print(format_metrics(metrics))
    if config.show_users:
        print(format_recommendations(dataset, run.best, config.show_users))
    print(f"Weights, metrics and curves are in {folder.path}: tensorboard --logdir {folder.tensorboard}")
    if config.export_dir:
        export_run(folder.path, config.export_dir, dataset=dataset)
    return metrics


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        sys.exit(f"error: {argv[1]!r} is no flag; flags begin with --")
    try:
        train(from_flags(DataConfig), from_flags(TrainConfig))
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        sys.exit(130)
    except (InputError, FloatingPointError) as error:
        sys.exit(f"error: {error}")


def run() -> None:
    """The entry point of the command line."""
    define(DataConfig)
    define(TrainConfig)
    logging.set_verbosity(logging.WARNING)
    app.run(main)


if __name__ == "__main__":
    run()
