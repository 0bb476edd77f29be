"""Exports a trained run for TensorFlow Serving.

    python -m gdns_tf.export --run_dir=RUN --export_dir=savedmodel/models/gdns
    python -m gdns_tf.export --run_dir=RUN --export_dir=gs://bucket/models/gdns

A model that ranks no better than popularity on validation, or whose scores are all alike, is refused, unless by
--export_anyway. A run brings its data settings along; flags win over them, such as --data_dir where the data has moved.
"""

from dataclasses import dataclass

from gdns_tf.command import Read, run_command
from gdns_tf.runs.loading import data_of
from gdns_tf.serving.export import export_run
from gdns_tf.serving.fold_in import FoldIn
from gdns_tf.serving.index import INDEXES
from gdns_tf.serving.limits import Limits
from gdns_tf.serving.tables import ITEM_DTYPES
from pipelines.checks import Settings
from pipelines.config import DataConfig, flag
from pipelines.errors import InputError


@dataclass(frozen=True)
class ExportConfig(Settings):
    """What to export, and how."""

    run_dir: str = flag("", "Folder of a training run. Required.", main=True, path=True)
    export_dir: str = flag(
        "savedmodel/models/gdns",
        "Folder of the model, or its address (gs://, s3://); it names the model.",
        main=True,
        path=True,
    )
    version: int = flag(
        0, "Number of the version; 0: one above the highest in --export_dir.", main=True, at_least=0, at_most=2**63 - 1
    )
    keep_versions: int = flag(
        0, "Versions to keep, the new one among them; older ones go. 0: all.", main=True, at_least=0
    )
    k: int = flag(100, "Items that the default signature returns, at most the catalogue.", main=True, at_least=1)
    item_dtype: str = flag("float32", "Type in which the item factors are stored.", ITEM_DTYPES, main=True)
    index: str = flag("exact", "ivf: also retrieves approximately, for catalogues beyond 10^6 items.", INDEXES)
    fold_in_alpha: float = flag(
        FoldIn.alpha, "retrieve_by_history: weight of all items as weak negatives.", at_least=0, at_most=1e6
    )
    fold_in_l2: float = flag(
        FoldIn.l2, "retrieve_by_history: L2, in units of the mean squared item factor.", above=0, at_most=1e12
    )
    max_users: int = flag(Limits.users, "Users a request may have, or items that others are like.", at_least=1)
    max_k: int = flag(Limits.k, "Items a request may ask for, a user.", at_least=1)
    max_ids: int = flag(
        Limits.ids, "Ids a list may have: a history, candidates, what is left out or chosen from.", at_least=1
    )
    export_anyway: bool = flag(False, "Export a model too that ranks no better than popularity.", main=True)

    def check(self) -> None:
        if not self.run_dir:
            raise InputError("`run_dir` is not set", remedy="Give the folder of a training run.")
        self.limits()

    def limits(self) -> Limits:
        """What a request may ask for."""
        return Limits(self.max_users, self.max_k, self.max_ids)


def main(read: Read) -> None:
    config = read(ExportConfig)
    export_run(
        config.run_dir,
        config.export_dir,
        k=config.k,
        item_dtype=config.item_dtype,
        version=config.version or None,
        keep_versions=config.keep_versions,
        index=config.index,
        fold_in=FoldIn(config.fold_in_alpha, config.fold_in_l2),
        limits=config.limits(),
        export_anyway=config.export_anyway,
        data=read(DataConfig, data_of(config.run_dir)),
    )


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [ExportConfig, DataConfig])


if __name__ == "__main__":
    run()
