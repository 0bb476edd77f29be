"""Exports a trained run for TensorFlow Serving.

    python -m gdns_tf.export --run_dir=RUN --export_dir=savedmodel/models/gdns

A run brings its data flags along; flags on the command line win over them, such as --data_dir where the data has moved.
"""

import sys
from dataclasses import dataclass

from absl import app, logging
from absl import flags as absl_flags

from gdns_tf.flags import define, from_flags
from gdns_tf.serving.export import data_of_run, export_run
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.serving.model import ITEM_DTYPES
from pipelines.config import DataConfig, flag
from pipelines.errors import InputError


@dataclass(frozen=True)
class ExportConfig:
    """What to export, and how."""

    run_dir: str = flag("", "Folder of a training run. Required.")
    export_dir: str = flag("savedmodel/models/gdns", "Folder of the model; its name is the model's name.")
    version: int = flag(0, "Number of the version; 0: one above the highest in --export_dir.")
    k: int = flag(100, "Items that the default signature returns, at most the catalogue.")
    item_dtype: str = flag("float32", "Type in which the item factors are stored.", ITEM_DTYPES)
    fold_in_alpha: float = flag(FoldIn.alpha, "retrieve_by_history: weight of all items as weak negatives.")
    fold_in_l2: float = flag(FoldIn.l2, "retrieve_by_history: L2, in units of the mean squared item factor.")


def main(argv: list[str], flag_values: absl_flags.FlagValues = absl_flags.FLAGS) -> None:
    """Exports as the flags say; exits with a message where that cannot be done."""
    try:
        if len(argv) > 1:
            raise InputError(f"{argv[1]!r} is no flag", remedy="Flags begin with --.")
        config = from_flags(ExportConfig, flag_values=flag_values)
        if not config.run_dir:
            raise InputError("--run_dir is not set", remedy="Give the --output_dir of a training run.")
        export_run(
            config.run_dir,
            config.export_dir,
            k=config.k,
            item_dtype=config.item_dtype,
            version=config.version or None,
            fold_in=FoldIn(config.fold_in_alpha, config.fold_in_l2),
            data=from_flags(DataConfig, data_of_run(config.run_dir), flag_values),
        )
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")


def run() -> None:
    """The entry point of the command line."""
    define(ExportConfig)
    define(DataConfig)
    logging.set_verbosity(logging.ERROR)
    app.run(main)


if __name__ == "__main__":
    run()
