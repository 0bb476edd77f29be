"""Training curves, the sampler's diagnostics, flags and item embeddings for TensorBoard."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.plugins import projector
from tensorboard.plugins.hparams import api as hparams

from gdns_tf.models.factors import Factors
from gdns_tf.runs.callbacks import Callback, RunView, Validation


class TensorBoard(Callback):
    """Writes into the `tensorboard` folder of the run."""

    def on_start(self, run: RunView) -> None:
        self._writer = tf.summary.create_file_writer(str(run.folder.tensorboard))
        with self._writer.as_default(step=0):
            lines = run.folder.flags.read_text().splitlines()
            tf.summary.text("flags", "".join(f"    {line}\n" for line in lines))
            settings = {n: str(v) if isinstance(v, tuple) else v for n, v in run.config.settings().items()}
            hparams.hparams(settings, trial_id=run.config.output_dir)

    def on_validation(self, run: RunView, validation: Validation) -> None:
        groups = {
            "train": {"loss": validation.loss},
            "valid": validation.metrics,
            "sampler": validation.diagnostics,
        }
        with self._writer.as_default(step=validation.epoch):
            for group, values in groups.items():
                for name, value in values.items():
                    tf.summary.scalar(f"{group}/{name}", value)
            for name, values in validation.histograms.items():
                if values.shape[0]:
                    tf.summary.histogram(f"sampler/{name}", values)

    def on_save(self, run: RunView) -> None:
        self._writer.flush()

    def on_end(self, run: RunView) -> None:
        train = run.split.train
        write_embeddings(run.folder.tensorboard, run.best, train.item_ids if train.titles is None else train.titles)

    def close(self) -> None:
        if hasattr(self, "_writer"):
            self._writer.close()


def write_embeddings(folder: Path, factors: Factors, titles: np.ndarray) -> None:
    """The items' vectors, as far as they count for likeness, for the Projector tab, each with its title."""
    vectors, names = folder / "items.tsv", folder / "titles.tsv"
    np.savetxt(vectors, factors.items * factors.dimension_weights, fmt="%.5g", delimiter="\t")
    names.write_text("".join(f"{' '.join(str(title).split())}\n" for title in titles), encoding="utf-8")
    config = projector.ProjectorConfig()
    config.embeddings.add(tensor_name="items", tensor_path=vectors.name, metadata_path=names.name)
    projector.visualize_embeddings(str(folder), config)
