"""Searches for the settings that suit the data, by validation, and trains by them.

    python -m gdns_tf.tune --dataset=ml-1m --output_dir=runs/tuned --tune_minutes=10

The defaults are tried first, so that the result is no worse by validation. Flags of training that are given stay as
they are, and the rest is searched: scorer, objective, sampler and their most sensitive settings; --dim only as
--search='dim=32|64'. The same command goes on with a search that was broken off, or with more --tune_minutes.
"""

from collections.abc import Mapping

from gdns_tf.api import tune_model
from gdns_tf.command import Read, run_command
from gdns_tf.flagfiles import FOR_TRAINING
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.summary import format_metrics, format_recommendations
from gdns_tf.serving.export import check_options
from gdns_tf.training.config import TrainConfig
from gdns_tf.tuning.config import TuneConfig
from gdns_tf.tuning.folder import TuningFolder
from gdns_tf.tuning.space import space_of
from pipelines.config import DataConfig
from pipelines.infer import infer
from pipelines.load import format_statistics, load_dataset


def tune(data: DataConfig, settings: Mapping[str, object], config: TuneConfig) -> dict:
    """Searches in the folder `output_dir`, or goes on with it, and prints what came of it.

    Args:
      data: the data.
      settings: of training, by name, that stay as they are.
      config: how long to search, and what besides.

    Returns:
      What `metrics.json` of the chosen trial holds.

    Raises:
      InputError: the settings, the data, the folder or that of the export cannot be used.
      gdns_tf.runs.interrupts.Interrupted: by SIGINT or SIGTERM, after saving.
      FloatingPointError: every trial diverged.
    """
    space_of(settings, config)  # before the data is read, which may take a while
    if export_dir := settings.get("export_dir"):
        check_options(export_dir)  # before anything that takes a while
    TuningFolder(str(settings.get("output_dir", "")), overwrite=bool(settings.get("overwrite")))
    data = infer(data)  # which the run's flags then name
    split = load_dataset(data)
    print(format_statistics(split), flush=True)
    model = tune_model(split, data, settings, config)
    print(format_metrics(model.metrics))
    if model.config.show_users:
        print(format_recommendations(split, model.factors, model.config.show_users))
    folder = RunFolder(model.config.output_dir).path
    print(f"The chosen model's run is {folder}, the report {folder / 'report.html'}: tensorboard --logdir {folder}")
    if model.config.export_dir:
        model.export(
            model.config.export_dir,
            keep_versions=model.config.keep_versions,
            export_anyway=model.config.export_anyway,
        )
    return model.metrics


def main(read: Read) -> None:
    tune(read(DataConfig), read.given(TrainConfig), read(TuneConfig))


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [TuneConfig, TrainConfig, DataConfig], recipes_in=FOR_TRAINING)


if __name__ == "__main__":
    run()
