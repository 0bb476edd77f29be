"""Training curves, sampler signals, histograms, flags and item embeddings for TensorBoard."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.plugins import projector
from tensorboard.plugins.hparams import api as hparams

from gdns_tf.models.factors import Weights


class Board:
    """Writes one run's folder; a disabled board writes nothing."""

    def __init__(self, folder: Path, enabled: bool = True) -> None:
        self._folder = folder
        self._writer = tf.summary.create_file_writer(str(folder)) if enabled else tf.summary.create_noop_writer()
        self._enabled = enabled

    def flags(self, text: str, values: dict) -> None:
        """The flags as text, and as hyper-parameters of the HParams tab."""
        with self._writer.as_default(step=0):
            tf.summary.text("flags", "".join(f"    {line}\n" for line in text.splitlines()))
            if self._enabled:
                hparams.hparams(values, trial_id=str(self._folder))

    def scalars(self, group: str, values: dict[str, float], epoch: int) -> None:
        """Curves named group/name over the epochs."""
        with self._writer.as_default(step=epoch):
            for name, value in values.items():
                tf.summary.scalar(f"{group}/{name}", value)

    def histogram(self, name: str, values: tf.Tensor, epoch: int) -> None:
        """A distribution over the epochs; nothing where there is no value."""
        if values.shape[0]:
            with self._writer.as_default(step=epoch):
                tf.summary.histogram(name, values)

    def flush(self) -> None:
        self._writer.flush()

    def item_embeddings(self, weights: Weights, titles: np.ndarray) -> None:
        """Q * w for the Projector tab, each point with its title."""
        if not self._enabled:
            return
        vectors, names = self._folder / "items.tsv", self._folder / "titles.tsv"
        np.savetxt(vectors, weights.Q * weights.w, fmt="%.5g", delimiter="\t")
        names.write_text("".join(f"{' '.join(str(title).split())}\n" for title in titles), encoding="utf-8")
        config = projector.ProjectorConfig()
        config.embeddings.add(tensor_name="items", tensor_path=vectors.name, metadata_path=names.name)
        projector.visualize_embeddings(str(self._folder), config)
