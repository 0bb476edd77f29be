"""What looks on at a run: TensorBoard, the history, diagnostics, the progress bar, and what users bring along."""

from dataclasses import dataclass, field
from typing import Protocol

import tensorflow as tf

from gdns_tf.models.factors import Factors
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.training.base import ScorerTrainer
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.replicas.base import Replicas
from pipelines.split import Split


class RunView(Protocol):
    """What a callback sees of a run: see `gdns_tf.runs.run.Run`."""

    split: Split
    config: TrainConfig
    folder: RunFolder
    """On this machine, also where `config.output_dir` is in an object store."""
    trainer: ScorerTrainer
    replicas: Replicas
    """Those that train together."""
    metric_names: list[str]

    @property
    def epoch(self) -> int:
        """Epochs done."""

    @property
    def history(self) -> str:
        """The text of `history.csv` so far, the present validation in it; empty before the first."""

    @property
    def best(self) -> Factors:
        """What the weights with the best validation come to."""

    @property
    def popularity(self) -> dict[str, float]:
        """What a list of the most popular items comes to on validation: the metrics of `metric_names`."""

    def interrupt(self) -> None:
        """Has the run break off, as a signal does: after the epoch under way, and saved."""


@dataclass(frozen=True)
class Validation:
    """What is known after a validation."""

    epoch: int
    """Epochs done."""
    seconds: float
    """Of training so far, resumed runs counted in."""
    loss: float
    """Mean loss in the last epoch, of a pair, or of a user if multinomial; NaN where there was none."""
    metrics: dict[str, float]
    """Of the validation items: "ndcg@3" and so on."""
    best: float
    """The best validation so far by the metric `select`, this one's counted in."""
    diagnostics: dict[str, float] = field(default_factory=dict)
    """Scalars that show what the sampler goes by; filled in by `Diagnostics`, for the callbacks after it."""
    histograms: dict[str, tf.Tensor] = field(default_factory=dict)
    """Distributions of the sampler's state, now and then."""


class Callback:
    """Looks on at a run, and must change nothing in it, though it may `interrupt` it. Override what is needed.

    Example:
      class Print(Callback):
          def on_validation(self, run, validation):
              print(validation.epoch, validation.metrics["ndcg@3"])

      gdns_tf.fit(data, callbacks=[Print()])
    """

    def on_start(self, run: RunView) -> None:
        """Before the first epoch of this process; `run.epoch` is above 0 where a run is gone on with."""

    def on_epoch(self, run: RunView, loss: float) -> None:
        """After each epoch, with its mean loss: of a pair, or of a user if multinomial."""

    def on_validation(self, run: RunView, validation: Validation) -> None:
        """After each validation."""

    def on_save(self, run: RunView) -> None:
        """After each checkpoint, also that of a run that is about to be broken off: `run.folder` holds it all."""

    def on_end(self, run: RunView) -> None:
        """When a stopping rule holds; not if the run is broken off."""

    def close(self) -> None:
        """At the very end, however the run ended."""
