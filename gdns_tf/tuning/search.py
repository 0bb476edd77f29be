"""The search itself: trials by Optuna until the time is up, and then the best one as a finished run."""

import contextlib
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import optuna
import tensorflow as tf
from optuna.trial import FixedTrial, FrozenTrial, TrialState
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from gdns_tf.flags import read_config
from gdns_tf.progress_bar import progress_bar
from gdns_tf.runs.callbacks import Callback
from gdns_tf.runs.interrupts import Interrupted, Interrupts
from gdns_tf.runs.lock import locked
from gdns_tf.runs.run import Run
from gdns_tf.runs.train import data_of_run, train
from gdns_tf.training.config import TrainConfig
from gdns_tf.tuning.budget import Budget
from gdns_tf.tuning.config import TuneConfig
from gdns_tf.tuning.folder import TuningFolder
from gdns_tf.tuning.pruning import MedianOfPeers
from gdns_tf.tuning.report import write_report
from gdns_tf.tuning.space import Space, space_of
from gdns_tf.tuning.trials import Watch, run_trial
from pipelines.atomic import write_text, writing
from pipelines.config import DataConfig
from pipelines.errors import InputError, StorageError
from pipelines.notices import notices
from pipelines.readers import saved
from pipelines.split import Split

SHARE = 0.1
"""Of the time, that a trial may take whose rate is constant, if the defaults took no longer: its best epoch may come at
any time, so that it loses little by ending early. One whose rate comes down is not cut short."""
RANDOM = 3
"""Trials drawn at random after those of the defaults; then Optuna's model of what is good proposes them. Few: the time
is short as a rule, and the recipes are no bad place to look around."""
NOTED_EVERY = 5.0
"""Seconds between notes of the time spent: so much of it a kill can lose."""
_IDENTITY, _SECONDS, _CHOSEN = "identity", "seconds", "chosen"


def tune(
    split: Split,
    data: DataConfig,
    settings: Mapping[str, object],
    config: TuneConfig,
    callbacks: Sequence[Callback] = (),
    *,
    progress: bool = True,
) -> Run:
    """Searches for settings in the folder `output_dir`, or goes on with it, and makes the folder the best trial's run.

    Trials are chosen by validation; test is evaluated at the end, for the chosen one.

    Args:
      split: the data.
      data: how it was made.
      settings: of training, by name; what is set stays as it is, and a list is searched. `refit` is done for the
        chosen one.
      config: how long to search, and what besides.
      callbacks: look on at every trial, and at the chosen one's end.
      progress: whether to show a progress bar, where there is a terminal or a notebook.

    Returns:
      The run of the chosen trial, finished.

    Raises:
      InputError: the settings cannot work, nothing is left to search, or the folder cannot be used or was made on
        other data or with other settings.
      Interrupted: by SIGINT or SIGTERM, after saving.
      FloatingPointError: every trial diverged.
    """
    space = space_of(settings, config)
    base = next(iter(space.models.values())).base
    folder = TuningFolder(base.output_dir, overwrite=base.overwrite)
    with folder.claimed(), _quiet_optuna():
        if base.overwrite:
            folder.clear(keep_data=data_of_run(data, base.output_dir)[1])
        with contextlib.closing(Search(split, data, space, config, folder, callbacks)) as search:
            search.run(progress=progress)
            return search.settle(progress=progress)


class Search:
    """One search in its folder."""

    def __init__(
        self,
        split: Split,
        data: DataConfig,
        space: Space,
        config: TuneConfig,
        folder: TuningFolder,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        """Opens the study that is in the folder, or makes one with the defaults of every model waiting.

        Args:
          split: the data.
          data: how it was made.
          space: what to search.
          config: for how long.
          folder: claimed.
          callbacks: look on at every trial.

        Raises:
          InputError: the study is of other data, or of another space, or cannot be read.
        """
        self._split, self._source, self._space, self._config = split, data, space, config
        self._folder, self._callbacks = folder, callbacks
        self._data, self._keeps_data = data_of_run(data, str(folder.path))
        self._study = self._open()
        self._noted: float = self._study.user_attrs.get(_SECONDS, 0.0)
        self._budget = Budget(config.tune_minutes, self._noted)
        if self._keeps_data and not self._is_begun(self._study):  # all trials read it from here
            saved.save(split, folder.run.data)

    def _open(self) -> optuna.Study:
        identity = {"data": self._split.fingerprint, "space": self._space.described()}
        study = self._connect()
        if study.user_attrs.get(_IDENTITY) != identity:
            if self._is_begun(study):
                _say_what_differs(study.user_attrs[_IDENTITY], identity, self._folder)
            # What a process left that was killed, or that found a setting wrong, before it had come to anything.
            self.close()
            self._folder.clear(keep_data=self._keeps_data)
            study = self._connect()
            for parameters in self._space.defaults():
                study.enqueue_trial(parameters)
            study.set_user_attr(_IDENTITY, identity)  # last: by it the study counts as whole
        return study

    def _connect(self) -> optuna.Study:
        url = URL.create("sqlite", database=str(self._folder.study)).render_as_string(hide_password=False)
        try:
            self._storage = storage = optuna.storages.RDBStorage(url)
        except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError) as error:
            raise InputError(
                f"the database of the search cannot be read: {str(error).splitlines()[0]}",
                path=self._folder.study,
                remedy="Start afresh with `overwrite`, or use the version of Optuna that wrote it.",
            ) from error
        return optuna.create_study(
            storage=storage, study_name="tuning", direction="maximize", pruner=MedianOfPeers(), load_if_exists=True
        )

    def close(self) -> None:
        """Lets go of the database."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _is_begun(self, study: optuna.Study) -> bool:
        if _IDENTITY not in study.user_attrs:
            return False
        return any(t.state.is_finished() or self._folder.trial(t.number).has_checkpoint for t in study.trials)

    def run(self, *, progress: bool = True) -> None:
        """Runs trials until the time is up, and the first one, of the defaults, in any case.

        Raises:
          Interrupted: by SIGINT or SIGTERM, after saving.
          InputError: a trial's settings do not go with the data.
        """
        total = self._config.tune_trials or None
        with Interrupts() as interrupts, progress_bar(progress, total=total, unit="trial") as bar:
            bar.update(len(self._finished()))
            while trial := self._next():
                best = self._best_value()
                bar.set_postfix(self._shown(trial))
                try:
                    self._try(trial, lambda number=trial.number: interrupts.received or self._is_over_for(number))
                except Interrupted:
                    if interrupts.received or not self._is_over_for(trial.number):
                        raise Interrupted(
                            f"interrupted in trial {trial.number}; the same command goes on from there"
                        ) from None
                    break
                finally:
                    self._note_time()
                self._tidy()
                if (now := self._best_value()) > best:
                    bar.clear()
                    notices.info("Trial %d: %s %.4f, the best so far", trial.number, self._select, now)
                bar.update()
                if interrupts.received:
                    raise Interrupted(f"interrupted after trial {trial.number}; the same command goes on from there")
        if not self._is_enough() and len(self._finished()) < len(self._space.models) + RANDOM:
            told = "Only %d trial(s) came to an end in `tune_minutes`=%g. Raise it: the same search goes on."
            notices.warning(told, len(self._finished()), self._config.tune_minutes)

    def _next(self) -> optuna.Trial | None:
        """The trial that was under way, or else a new one; None where the search is over."""
        under_way = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        number = under_way[0].number if under_way else len(self._finished())
        if self._is_enough() or self._is_over_for(number):
            return None
        # Seeded anew for each trial, so that a search that was broken off proposes what one does that was not.
        seed = int(np.random.SeedSequence([self._base.seed, number]).generate_state(1)[0])
        self._study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=len(self._space.models) + RANDOM, multivariate=True, group=True, seed=seed
        )
        if under_way:
            return optuna.Trial(self._study, under_way[0]._trial_id)
        return self._study.ask()

    def _is_enough(self) -> bool:
        return 0 < self._config.tune_trials <= len(self._finished())

    def _is_over_for(self, number: int) -> bool:
        """Whether the time is up; for the first trial it never is, so that there is a model in any case."""
        if self._budget.spent - self._noted > NOTED_EVERY:
            self._note_time()
        return number > 0 and self._budget.is_over

    def _try(self, trial: optuna.Trial, is_to_stop: Callable[[], bool]) -> None:
        """Runs a trial to its end, whichever that is, and tells Optuna."""
        folder, number = self._folder.trial(trial.number), trial.number
        try:
            config = self._limited(self._space.suggest(trial), number)
        except InputError as error:  # values that do not go together
            self._fail(trial, f"{error}")
            return
        config = replace(config, output_dir=str(folder.path), overwrite=False, refit=False, export_dir="")
        looks = [*self._callbacks, Watch(trial, is_to_stop, prunable=number > 0)]
        try:
            run, stopped_by = run_trial(self._split, self._data, config, looks, self._space.searched)
        except optuna.TrialPruned as pruned:
            write_text(folder.path / "pruned.txt", f"{pruned}\n")
            self._study.tell(trial, state=TrialState.PRUNED)
        except FloatingPointError as error:
            self._fail(trial, str(error))
        except StorageError:
            raise  # no fault of the trial, which goes on when there is room
        except (InputError, MemoryError, tf.errors.ResourceExhaustedError) as error:
            if number == 0:  # what all trials share, then
                raise
            self._fail(trial, str(error))  # as where the tables of one sampler are too large for the data
        else:
            told = {"stopped_by": stopped_by, "epochs": run.epoch, "best_epoch": run.best_epoch, "seconds": run.seconds}
            for name, value in told.items():
                trial.set_user_attr(name, value)
            self._study.tell(trial, float(run.state.best_value.numpy()))

    def _fail(self, trial: optuna.Trial, why: str) -> None:
        notices.warning("Trial %d failed: %s", trial.number, why)
        folder = self._folder.trial(trial.number).path
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "failed.txt", f"{why}\n")
        self._study.tell(trial, state=TrialState.FAIL)

    def _limited(self, config: TrainConfig, number: int) -> TrainConfig:
        """The settings of a trial with the limit of its time; the first one has none but the user's own."""
        if number == 0 or config.schedule != "constant":
            return config
        of_defaults = self._study.trials[0].user_attrs.get("seconds", 0.0) / 60
        minutes = max(SHARE * self._config.tune_minutes, of_defaults)
        return replace(config, max_minutes=min(minutes, config.max_minutes or minutes))

    def _finished(self) -> list[FrozenTrial]:
        return [trial for trial in self._study.get_trials(deepcopy=False) if trial.state.is_finished()]

    def _best(self) -> FrozenTrial | None:
        """The finished trial with the best validation, of equals the first; None if there is none."""
        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return max(complete, key=lambda trial: trial.value, default=None)

    def _best_value(self) -> float:
        best = self._best()
        return best.value if best else -1.0

    def _tidy(self) -> None:
        """Removes the checkpoints of trials that are done with: large, and only the best one's are needed again."""
        best = self._best()
        for trial in self._finished():
            checkpoints = self._folder.trial(trial.number).checkpoints
            if (best is None or trial.number != best.number) and checkpoints.exists():
                shutil.rmtree(checkpoints, ignore_errors=True)

    def _note_time(self) -> None:
        self._noted = self._budget.spent
        self._study.set_user_attr(_SECONDS, self._noted)

    def _shown(self, trial: optuna.Trial) -> dict[str, str]:
        """What the progress bar says besides."""
        best, left = self._best(), max(0.0, 60 * self._config.tune_minutes - self._budget.spent)
        found = {f"best {self._select}": f"{best.value:.4f} (trial {best.number})"} if best else {}
        return found | {"now": f"trial {trial.number}", "minutes left": f"{left / 60:.1f}"}

    @property
    def _base(self) -> TrainConfig:
        """What all trials share, among other things."""
        return next(iter(self._space.models.values())).base

    @property
    def _select(self) -> str:
        return self._base.select

    def settle(self, *, progress: bool = True) -> Run:
        """Makes the best trial the run of the search's own folder, as if it had been trained there, and reports.

        Returns:
          The run, finished, its second training too where `refit` is set.

        Raises:
          FloatingPointError: every trial diverged.
        """
        best = self._best()
        if best is None:
            raise FloatingPointError(
                "every trial diverged. Lower `learning_rate`, or leave more to be searched; "
                f"{self._folder.trials} has a failed.txt for each."
            )
        config = replace(self._space.suggest(FixedTrial(best.params)), overwrite=False)
        if config.schedule == "constant" and best.user_attrs["stopped_by"] == "max_minutes":  # so many make it again
            config = replace(config, max_epochs=best.user_attrs["epochs"], max_minutes=0.0)
        if self._study.user_attrs.get(_CHOSEN) != best.number:
            self._choose(best, config)
        run = train(self._split, self._source, config, self._callbacks, progress=progress)
        write_report(self._folder, self._study, self._space, config, run, self._budget.spent)
        notices.info("The report is %s", self._folder.report)
        return run

    def _choose(self, best: FrozenTrial, config: TrainConfig) -> None:
        """Copies what a trial's run is gone on from into the folder of the search, in place of a former choice."""
        trial, run = self._folder.trial(best.number), self._folder.run
        with locked(run.path), writing(run.path):
            config = config.settled_as(read_config(trial.flags, TrainConfig))
            run.claim(self._data, replace(config, overwrite=True))
            if trial.tensorboard.exists():
                shutil.copytree(trial.tensorboard, run.tensorboard)
            shutil.copytree(trial.checkpoints, run.checkpoints)
            self._study.set_user_attr(_CHOSEN, best.number)
            shutil.rmtree(trial.checkpoints)


def _say_what_differs(former: Mapping, now: Mapping, folder: TuningFolder) -> None:
    """Raises InputError: the folder holds another search."""
    remedy = "Choose another `output_dir`, or start afresh with `overwrite`."
    if former["data"] != now["data"]:
        raise InputError(
            f"the search there was made on data {former['data']}, and the data is now {now['data']}",
            path=folder.path,
            remedy=f"Give the same data. {remedy}",
        )
    before, after = former["space"], now["space"]
    if before.keys() != after.keys():
        raise InputError(
            f"the folder holds a search among {', '.join(before)}, not {', '.join(after)}",
            path=folder.path,
            remedy=remedy,
        )
    changed = [
        (name, was.get(name, "not set"), after[model].get(name, "not set"))
        for model, was in before.items()
        for name in dict.fromkeys([*was, *after[model]])
        if was.get(name) != after[model].get(name)
    ]
    name, was, is_now = changed[0]
    more = len({name for name, _, _ in changed}) - 1
    raise InputError(
        f"the folder holds a search with `{name}` {was}, not {is_now}" + (f" ({more} more differ)" if more else ""),
        path=folder.path,
        remedy=remedy,
    )


@contextlib.contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Without Optuna's log of its trials and its warnings of what is new in it."""
    former = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="optuna")
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(former)
