"""A training run from start, or from where it was broken off, to its metrics."""

import contextlib
import math
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import tensorflow as tf

import gdns_tf
from gdns_tf.evaluation import metrics
from gdns_tf.evaluation.baselines import popularity
from gdns_tf.evaluation.selection import SelectionMetric
from gdns_tf.models.factors import Factors
from gdns_tf.models.moving_average import WeightAverage
from gdns_tf.models.weights_file import save_arrays
from gdns_tf.runs.callbacks import Callback, Validation
from gdns_tf.runs.checkpoints import Checkpoints
from gdns_tf.runs.history import header, row
from gdns_tf.runs.interrupts import Interrupted, Interrupts
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.state import RunState
from gdns_tf.runs.worker_checkpoints import WorkerCheckpoints
from gdns_tf.training.base import ScorerTrainer
from gdns_tf.training.build import build_batches, build_trainer
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.divergence import advice
from gdns_tf.training.optimizers import rate_of_epoch
from gdns_tf.training.replicas.base import ALONE, Replicas
from pipelines.interactions import Filter
from pipelines.sample import Sample, sampled
from pipelines.split import Split
from pipelines.streamed import StreamedInteractions, StreamedSplit

KS = (1, 3, 10)


class Run:
    """One training run in its folder."""

    def __init__(
        self,
        split: Split | StreamedSplit,
        config: TrainConfig,
        folder: RunFolder,
        callbacks: Sequence[Callback] = (),
        *,
        trainer: ScorerTrainer | None = None,
        last_epoch: int | None = None,
        replicas: Replicas = ALONE,
    ) -> None:
        """Builds the run and, where the folder has a checkpoint, restores it.

        Args:
          split: the data.
          config: the settings.
          folder: claimed for this run; on this machine.
          callbacks: look on, in this order; of several workers the chief has them.
          trainer: as built for these data and settings; None: it is built here.
          last_epoch: where to stop, without validations, and to keep the weights of; None: validations tell.
          replicas: those that train together. The chief validates and writes; all of them have the same state.

        Raises:
          InputError: the checkpoint was made on other data, or all are damaged.
        """
        self.split, self.config, self.folder = split, config, folder
        self._callbacks, self._last_epoch = callbacks if replicas.is_chief else (), last_epoch
        self.replicas = replicas
        self._selection, self._interrupts = SelectionMetric(config.select), Interrupts()
        self.metric_names = list(dict.fromkeys([*metrics.names(KS, split.several), config.select]))
        """Keys of the metrics of a validation, in the order of its history."""
        self.measured_on = sampled(split, config.valid_users, config.seed)
        """The data, or the sample of its users by whom the run is measured."""
        self.trainer = trainer or build_trainer(split.train, config, replicas)
        weights = self.trainer.scorer.trainable_variables
        self.average = WeightAverage(weights, config.average_decay)
        self.state = RunState(weights, split.fingerprint)
        large = self.trainer.sampler.variables
        several = {"replicas": replicas} if replicas.workers > 1 else {}
        self._checkpoints = (WorkerCheckpoints if several else Checkpoints)(
            folder.checkpoints,
            large,
            **several,
            share=replicas.shares(split.train)[0],
            scorer=self.trainer.scorer,
            optimizer=self.trainer.optimizer,
            sampler=self.trainer.sampler,
            average=self.average,
            state=self.state,
        )
        self._checkpoints.restore(split.fingerprint)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return int(self.state.epoch.numpy())

    @property
    def best_epoch(self) -> int:
        """After how many epochs the weights were best, of those done."""
        return int(self.state.best_epoch.numpy())

    @property
    def seconds(self) -> float:
        """Of training so far, resumed runs counted in."""
        return float(self.state.seconds.numpy())

    @cached_property
    def popularity(self) -> dict[str, float]:
        """What a list of the most popular items comes to on validation: the metrics of `metric_names`."""
        return self._measured(popularity(self.split.train), "valid")

    def _measured(self, factors: Factors, held_out: str) -> dict[str, float]:
        """The metrics of `metric_names`."""
        return self._selection.with_others(factors, self.measured_on, held_out, KS)

    def fit(self) -> str:
        """Trains until a stopping rule holds.

        Returns:
          Which one: "patience", "max_epochs" or "max_minutes".

        Raises:
          Interrupted: by SIGINT, SIGTERM or `interrupt`, after saving.
          FloatingPointError: the loss is no number any more, or a score of the weights may be none.
        """
        saved_at = time.monotonic()
        with contextlib.ExitStack() as stack:
            for callback in self._callbacks:
                stack.callback(callback.close)
                callback.on_start(self)
            if self.config.warm_start and not self._checkpoints.exist:
                self._save()  # from here on the former run may go, or change
            stack.enter_context(self._interrupts)
            for epoch, loss in self._epochs():
                for callback in self._callbacks:
                    callback.on_epoch(self, loss)
                if self._last_epoch is None and (
                    epoch % self.config.eval_every == 0 or epoch == self.config.max_epochs
                ):
                    self._validate(loss)
                if self.replicas.any(self._interrupts.received):
                    self._save()
                    raise Interrupted(f"interrupted after epoch {epoch}; the same command goes on from there")
                is_due = time.monotonic() - saved_at > 60 * self.config.checkpoint_minutes
                if self.replicas.on_chief(lambda is_due=is_due: is_due):
                    self._save()
                    saved_at = time.monotonic()
            if self._last_epoch is not None:
                self.replicas.on_chief(lambda: self._check_numbers(self._factors(self.average.variables_)))
                self.state.keep(self.average.variables_)
            elif self.best_epoch == 0:  # stopped by the clock before the first validation
                self._validate(math.nan)
            self._save()
            for callback in self._callbacks:
                callback.on_end(self)
        return self._stop_reason()

    def interrupt(self) -> None:
        """Has `fit` break off, as a signal does: after the epoch under way, and saved."""
        self._interrupts.received = True

    def _save(self) -> None:
        self._checkpoints.save()
        for callback in self._callbacks:
            callback.on_save(self)

    def _epochs(self) -> Iterator[tuple[int, float]]:
        """Trains an epoch at a time; yields its number, from 1, and its mean loss."""
        if self._stop_reason():
            return
        train, first = self.split.train, self.epoch
        batches = iter(self.replicas.batches(lambda share: build_batches(train, self.config, first, share), train))
        train_epoch = self.replicas.train_function(self.trainer, self.config.setup(train).steps_per_epoch)
        while not self._stop_reason():
            began = time.monotonic()
            self.trainer.reset_metrics()
            rate = rate_of_epoch(self.config.learning_rate, self.config.schedule, self.epoch, self.config.max_epochs)
            self.trainer.optimizer.learning_rate.assign(rate)
            # The loss of another worker first: the shards are not to be looked through for what it ends with.
            with self._reading(), self.replicas.together():
                loss = train_epoch(batches)
            if not math.isfinite(loss):
                raise self._diverged(f"the loss of epoch {self.epoch + 1} is {loss}")
            self.state.epoch.assign_add(1)
            self.average.update(tf.cast(self.state.epoch, tf.float32))
            took = time.monotonic() - began
            self.state.seconds.assign_add(self.replicas.on_chief(lambda took=took: took))
            yield self.epoch, loss

    def _reading(self) -> contextlib.AbstractContextManager:
        """Has what is wrong with shards that are read meanwhile told by their names."""
        train = self.split.train
        return train.reading() if isinstance(train, StreamedInteractions) else contextlib.nullcontext()

    def _diverged(self, clause: str) -> FloatingPointError:
        return FloatingPointError(f"{clause}: the training diverged. {advice(self.config)}")

    def _check_numbers(self, factors: Factors) -> None:
        """Raises FloatingPointError where weights that were to be kept give scores that are no numbers."""
        if fault := factors.fault():
            raise self._diverged(f"after epoch {self.epoch} {fault}")

    def _stop_reason(self) -> str:
        """Which stopping rule holds; empty if none does."""
        if self.state.validations_since_best >= self.config.patience:
            return "patience"
        if self.epoch >= (self._last_epoch or self.config.max_epochs):
            return "max_epochs"
        if self.config.max_minutes and self.state.seconds >= 60 * self.config.max_minutes:
            return "max_minutes"
        return ""

    def _validate(self, loss: float) -> None:
        averages = self.average.variables_
        selected = self.config.select
        found = self.replicas.on_chief(lambda: self._validated(self._factors(averages)))
        self.state.validated(found[selected], averages)
        best = float(self.state.best_value.numpy())
        validation = Validation(self.epoch, self.seconds, loss, found, best)
        self.state.history.assign((self.history or header(self.metric_names)) + row(validation))
        for callback in self._callbacks:
            callback.on_validation(self, validation)

    def _validated(self, factors: Factors) -> dict[str, float]:
        self._check_numbers(factors)
        return self._measured(factors, "valid")

    @property
    def history(self) -> str:
        """The text of `history.csv` so far; empty before the first validation."""
        return self.state.history.numpy().decode()

    def _factors(self, variables: Sequence[tf.Variable]) -> Factors:
        scorer = self.trainer.scorer
        with np.errstate(over="ignore", invalid="ignore"):  # which `_check_numbers` tells
            return scorer.factors(scorer.arrays(variables), self.split.train)

    @property
    def best(self) -> Factors:
        """What the weights with the best validation come to."""
        return self._factors(self.state.best_weights)

    def save_weights(self) -> None:
        """Writes the best weights, `weights.npz`."""
        save_arrays(self.folder.weights, self.trainer.scorer.arrays(self.state.best_weights))

    def finish(
        self, stopped_by: str, held_out: Sequence[str] = ("valid", "test"), more: Mapping[str, object] | None = None
    ) -> dict:
        """Writes the best weights and the metrics, `metrics.json`, which it returns.

        Args:
          stopped_by: what `fit` returned.
          held_out: what to evaluate on: not on "test" while runs are still being chosen among.
          more: what else the file is to hold.
        """
        return self.replicas.on_chief(lambda: self._finished(stopped_by, held_out, more or {}))

    def _finished(self, stopped_by: str, held_out: Sequence[str], more: Mapping[str, object]) -> dict:
        best, split = self.best, self.split
        self.save_weights()
        summary = {
            "stopped_by": stopped_by,
            "epochs": self.epoch,
            "best_epoch": self.best_epoch,
            "validations": max(0, self.history.count("\n") - 1),
            **{name: self._measured(best, name) for name in held_out},
            "popularity": {
                name: self.popularity if name == "valid" else self._measured(popularity(split.train), name)
                for name in held_out
            },
            "seconds": self.seconds,
            "seconds_per_epoch": self.seconds / max(1, self.epoch),
            "data_fingerprint": split.fingerprint,
            "dataset": split.statistics(),
            **({"sample": _told_sample(self.measured_on)} if isinstance(self.measured_on, Sample) else {}),
            "dropped": {each.setting: _counts(each) for each in split.train.filters},
            "users_by_history": split.train.num_dropped_users,
            **more,
            "versions": {
                "gdns_tf": gdns_tf.__version__,
                "python": platform.python_version(),
                "tensorflow": tf.__version__,
                "numpy": np.__version__,
            },
        }
        self.folder.write_metrics(summary)
        return summary


def _told_sample(sample: Sample) -> dict[str, int]:
    """By how many users the metrics are, of how many who could be measured."""
    return {"users": len(sample.users), "of": len(np.union1d(sample.whole.valid.users, sample.whole.test.users))}


def _counts(dropped: Filter) -> dict[str, int]:
    return {"rows": dropped.rows, "users": dropped.users, "items": dropped.items}
