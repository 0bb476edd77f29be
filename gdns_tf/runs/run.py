"""A training run from start, or from where it was broken off, to its metrics."""

import math
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace

import numpy as np
import tensorflow as tf
from tqdm import tqdm

import gdns_tf
from gdns_tf.models.moving_average import WeightAverage
from gdns_tf.runs.tensorboard import Board
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.runs.interrupts import Interrupts
from gdns_tf.runs.progress import Progress
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.diagnostics import FalseNegatives, Signals
from gdns_tf.models.factors import Weights
from pipelines.errors import InputError
from pipelines.split import Split

KS = (1, 3, 10)
SELECTION_METRIC = "ndcg@3"


class Interrupted(Exception):
    """The run was asked to stop; it is saved and goes on with the same command."""


class Run:
    """One training run in its folder."""

    def __init__(self, dataset: Split, config: TrainConfig, folder: RunFolder) -> None:
        """Builds the run and, where the folder has a checkpoint, restores it.

        Raises:
          InputError: the checkpoint was made on other data.
        """
        self.dataset, self.config, self.folder = dataset, config, folder
        self.trainer = build_trainer(dataset.train, config)
        weights = self.trainer.scorer.trainable_variables
        self.average = WeightAverage(weights, config.average_decay)
        self.progress = Progress(weights, dataset.fingerprint)
        self._checkpoints = self._restore()

    def _restore(self) -> tf.train.CheckpointManager:
        checkpoint = tf.train.Checkpoint(
            scorer=self.trainer.scorer,
            optimizer=self.trainer.optimizer,
            sampler=self.trainer.sampler,
            average=self.average,
            progress=self.progress,
        )
        manager = tf.train.CheckpointManager(checkpoint, str(self.folder.checkpoints), max_to_keep=1)
        if manager.latest_checkpoint:
            checkpoint.restore(manager.latest_checkpoint).assert_consumed()
            made_on = self.progress.data_fingerprint.numpy().decode()
            if made_on != self.dataset.fingerprint:
                raise InputError(
                    f"the checkpoint was made on data {made_on}, and the data is now {self.dataset.fingerprint}",
                    path=self.folder.path,
                    remedy="Give the same data, or start afresh with --overwrite.",
                )
        return manager

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return int(self.progress.epoch.numpy())

    def fit(self, *, progress: bool = True, observer: Callable[["Run"], None] | None = None) -> str:
        """Trains until a stopping rule holds.

        Args:
          progress: whether to show a progress bar, where there is a terminal.
          observer: called with this run after each validation; must change nothing in it.

        Returns:
          Which one: "patience", "max_epochs" or "max_minutes".

        Raises:
          Interrupted: by SIGINT or SIGTERM, after saving.
          FloatingPointError: the loss is no number any more.
        """
        board = Board(self.folder.tensorboard, self.config.tensorboard)
        board.flags(self.folder.flags.read_text(), asdict(self.config))
        signals = self._signals() if self.config.tensorboard else None
        self.folder.start_history(["epoch", "seconds", "loss", *metric_names()], self.epoch)
        saved_at = time.monotonic()
        with Interrupts() as interrupts, self._bar(progress) as bar:
            for epoch, loss in self._epochs():
                bar.update()
                if epoch % self.config.eval_every == 0 or epoch == self.config.max_epochs:
                    self._validate(epoch, loss, board, signals, bar)
                    if observer:
                        observer(self)
                if interrupts.received:
                    self._checkpoints.save()
                    raise Interrupted(f"interrupted after epoch {epoch}; the same command goes on from there")
                if time.monotonic() - saved_at > 60 * self.config.checkpoint_minutes:
                    self._checkpoints.save()
                    saved_at = time.monotonic()
        if self.progress.best_epoch == 0:  # stopped by the clock before the first validation
            self._validate(self.epoch, math.nan, board, None, None)
        self._checkpoints.save()
        titles = self.dataset.train.titles
        board.item_embeddings(self.best, self.dataset.train.item_ids if titles is None else titles)
        board.flush()
        return self._stop_reason()

    def _epochs(self) -> Iterator[tuple[int, float]]:
        """Trains an epoch at a time; yields its number, from 1, and its mean loss of a pair."""
        if self._stop_reason():
            return
        batches = iter(build_batches(self.dataset.train, self.config, first_epoch=self.epoch))
        train_epoch = self.trainer.make_train_function()
        while not self._stop_reason():
            began = time.monotonic()
            self.trainer.reset_metrics()
            loss = float(train_epoch(batches)["loss"])
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss of epoch {self.epoch + 1} is {loss}: the training diverged. Lower --learning_rate "
                    f"(now {self.config.learning_rate}) or raise --l2 (now {self.config.l2})."
                )
            self.progress.epoch.assign_add(1)
            self.average.update(tf.cast(self.progress.epoch, tf.float32))
            self.progress.seconds.assign_add(time.monotonic() - began)
            yield self.epoch, loss

    def _stop_reason(self) -> str:
        """Which stopping rule holds; empty if none does."""
        if self.progress.validations_since_best >= self.config.patience:
            return "patience"
        if self.epoch >= self.config.max_epochs:
            return "max_epochs"
        if self.config.max_minutes and self.progress.seconds >= 60 * self.config.max_minutes:
            return "max_minutes"
        return ""

    def _validate(self, epoch: int, loss: float, board: Board, signals: Signals | None, bar: tqdm | None) -> None:
        averages = self.average.variables_
        weights = self.trainer.scorer.as_weights(averages)
        metrics = evaluate(weights, self.dataset, split="valid", ks=KS).means()
        self.progress.validated(metrics[SELECTION_METRIC], averages)
        self.folder.add_history(
            {"epoch": epoch, "seconds": float(self.progress.seconds.numpy()), "loss": loss} | metrics
        )
        board.scalars("train", {"loss": loss}, epoch)
        board.scalars("valid", metrics, epoch)
        if signals:
            signals.write(board, epoch)
        if bar is not None:
            best = f"{self.progress.best_value.numpy():.4f}"
            bar.set_postfix({"loss": f"{loss:.4f}", "valid NDCG@3": f"{metrics[SELECTION_METRIC]:.4f}", "best": best})

    def _signals(self) -> Signals:
        # Batches of a stream of its own: looking at the sampler must not change what it is trained on.
        batches = build_batches(self.dataset.train, replace(self.config, seed=self.config.seed + 1))
        validations_done = self.epoch // self.config.eval_every
        return Signals(self.trainer, FalseNegatives(self.dataset), batches.skip(validations_done))

    def _bar(self, shown: bool) -> tqdm:
        """Epochs with time left (at most: early stopping may come first); silent when not on a terminal."""
        silent = None if shown else True
        return tqdm(total=self.config.max_epochs, initial=self.epoch, unit="epoch", disable=silent, dynamic_ncols=True)

    @property
    def best(self) -> Weights:
        """The weights with the best validation."""
        return self.trainer.scorer.as_weights(self.progress.best_weights)

    def finish(self, stopped_by: str) -> dict:
        """Writes the best weights and the metrics, `metrics.json`, which it returns."""
        best, dataset = self.best, self.dataset
        best.save(self.folder.weights)
        metrics = {
            "stopped_by": stopped_by,
            "epochs": self.epoch,
            "best_epoch": int(self.progress.best_epoch.numpy()),
            "valid": evaluate(best, dataset, split="valid", ks=KS).means(),
            "test": evaluate(best, dataset, split="test", ks=KS).means(),
            "seconds": float(self.progress.seconds.numpy()),
            "seconds_per_epoch": float(self.progress.seconds.numpy()) / max(1, self.epoch),
            "data_fingerprint": dataset.fingerprint,
            "dataset": dataset.statistics(),
            "versions": {
                "gdns_tf": gdns_tf.__version__,
                "python": platform.python_version(),
                "tensorflow": tf.__version__,
                "numpy": np.__version__,
            },
        }
        self.folder.write_metrics(metrics)
        return metrics


def metric_names() -> list[str]:
    """Keys of the metrics of a run, in the order of its history."""
    return [*(f"{name}@{k}" for name in ("ndcg", "recall", "hr") for k in KS), "mrr"]
