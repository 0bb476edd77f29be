"""The Python API: `fit` a model on data, tuned if asked, `load` one, and what a `Model` does."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gdns_tf.clients.in_process import InProcess
from gdns_tf.clients.methods import RecommendMethods
from gdns_tf.clients.signatures import Signatures
from gdns_tf.clients.titles import titles_of
from gdns_tf.evaluation.baselines import popularity
from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.evaluation.report import evaluate_with_tests, format_options
from gdns_tf.evaluation.user_groups import by_activity
from gdns_tf.flagfiles import settings_over_recipe
from gdns_tf.flags import replayable
from gdns_tf.models.factors import Factors
from gdns_tf.models.weights_file import save_arrays
from gdns_tf.runs import leaks
from gdns_tf.runs.callbacks import Callback
from gdns_tf.runs.history import write_history
from gdns_tf.runs.interrupts import Interrupted
from gdns_tf.runs.loading import Trained, data_of, load_compared, load_history, load_trained
from gdns_tf.runs.remote import mirrored
from gdns_tf.runs.run import Run
from gdns_tf.runs.run_folder import RunFolder
from gdns_tf.runs.train import train
from gdns_tf.runs.warm_start import Former, former_model
from gdns_tf.runs.whole_folder import whole_folder
from gdns_tf.samplers.base import Sampler
from gdns_tf.serving.description import about_training
from gdns_tf.serving.export import check_options, export_model
from gdns_tf.serving.in_memory import in_memory
from gdns_tf.serving.limits import Limits
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.recipes import PAIRS, SAMPLING
from gdns_tf.training.replicas.strategies import MULTIWORKER, join
from gdns_tf.tuning.config import TuneConfig
from pipelines.atomic import write_text
from pipelines.config import DataConfig
from pipelines.dataset import Dataset, with_source
from pipelines.errors import InputError
from pipelines.load import load_dataset
from pipelines.notices import notices
from pipelines.paths import as_path, is_remote
from pipelines.readers import saved
from pipelines.sample import sampled
from pipelines.split import Split
from pipelines.streamed import StreamedSplit

if TYPE_CHECKING:
    import pandas as pd

_AT_ONCE = 1e-9
"""Minutes, after which a run that is gone on with ends before another epoch."""


def fit(
    data: Dataset | StreamedSplit,
    *,
    sampler: str | Sampler | None = None,
    scorer: str | None = None,
    recipe: str | None = None,
    warm_start: "str | Path | Model | None" = None,
    callbacks: Sequence[Callback] = (),
    output_dir: str | Path | None = None,
    refit: bool = False,
    tune_minutes: float | None = None,
    progress: bool = True,
    **settings: object,
) -> "Model":
    """Trains a recommender, and keeps its best weights by validation NDCG@3.

    Unasked it is the recipe that ranks best: a user is the sum of what they have, and the loss a softmax over the whole
    catalogue (`scorer="history"`, `objective="multinomial"`). With a sampler it is the paper's: a matrix factorisation,
    positives against sampled negatives (`scorer="gmf"`, `objective="pairs"`).

    Args:
      data: the data, with its validation and test items; in memory, or a folder that is read a block of users at a time
        (`Dataset.load("ingested", ...)`).
      sampler: how negatives are chosen: a name (`gdns_tf.SAMPLERS`), or a `gdns_tf.Sampler` of one's own; None: that of
        the recipe, which has none.
      scorer: what scores items for users, a name (`gdns_tf.SCORERS`); None: that of the recipe.
      recipe: settings by the name of a recipe that comes with gdns_tf, such as "ml1m" (`python -m gdns_tf.train
        --recipe=help` lists them), or by a flagfile. Whatever is given here wins over it, `sampler` and `scorer` too.
        What it says of the data and of `output_dir` is not applied: they are given here.
      warm_start: a former model, or the folder of a finished run, on this machine or in an object store, from whose
        weights training begins: those of the users and items that are in both, by id. New ones begin as in a run that
        begins afresh. It must be of the same scorer and `dim`. Unasked, a run without pairs then takes a third of the
        epochs at half the rate. See `gdns_tf.runs.warm_start`, and for what is gained configs/RESULTS.md.
      callbacks: look on.
      output_dir: folder of the run, in which it can be gone on with: the same call again does that, and a finished run
        is read. It may be in an object store (gs://, s3://, az://). None: a temporary one that goes.
      refit: whether to train once more, for the epochs that validation chose, with the held-out items included.
        Recommendations and exports are then of that; evaluation stays that of the first training.
      tune_minutes: minutes to search for settings, by validation; None: none are searched. Those that are set stay as
        they are, a list is chosen among (`dim=[32, 64]`), and the rest is searched: scorer, objective, sampler and
        their most sensitive settings. The defaults are the first trial, and it is finished whatever the time. `dim` is
        searched only where a list is given: more is better and slower, nearly always. The folder then holds a report
        of all trials. Needs `gdns_tf[tune]`.
      progress: whether to show a progress bar.
      settings: any setting of training, its sampler or its scorer by name, such as `dim=64`, `max_epochs=60` or
        `smoothing=0.1`; `python -m gdns_tf.train --helpfull` lists them. With `tune_minutes` also `tune_trials`, after
        so many of which the search stops. One that means nothing to the recipe's objective, such as `group_size`,
        chooses sampled pairs, unless `objective` is set.

    Interrupted (Ctrl-C, or a notebook's stop button), a fit without a folder returns the best model so far.

    Raises:
      InputError: a setting is mistyped or cannot work, with the nearest right one; or the folder cannot be used.
      gdns_tf.runs.interrupts.Interrupted: interrupted in a folder; the same call goes on from there.
      FloatingPointError: the training diverged.

    Example:
      data = gdns_tf.Dataset.from_dataframe(df, user="user_id", item="item_id", timestamp="ts")
      model = gdns_tf.fit(data, dim=64, output_dir="runs/first")
      model = gdns_tf.fit(data, dim=64, output_dir="runs/tuned", tune_minutes=10)
    """
    if not isinstance(data, (Dataset, StreamedSplit)):
        raise InputError(
            f"fit takes a gdns_tf.Dataset, not a {type(data).__name__}",
            remedy="Make one, for example by gdns_tf.Dataset.from_dataframe(df, user=..., item=...).",
        )
    with ExitStack() as stack:
        is_temporary = output_dir is None
        if is_temporary and settings.get("strategy") == MULTIWORKER:
            raise InputError("`output_dir` is not set", remedy="Name a folder that all workers see.")
        if is_temporary:
            output_dir = stack.enter_context(tempfile.TemporaryDirectory(prefix="gdns_tf-"))
            settings = {"tensorboard": False} | settings
        named = {name: value for name, value in (("sampler", sampler), ("scorer", scorer)) if value is not None}
        settings = named | {"output_dir": str(output_dir)} | ({"refit": True} if refit else {}) | settings
        former = former_model(warm_start._trained) if isinstance(warm_start, Model) else None
        if warm_start is not None:
            settings["warm_start"] = former.name if former else str(warm_start)
        if recipe is not None:
            settings = settings_over_recipe(recipe, settings, TrainConfig, [DataConfig])
        tuning = TuneConfig.taken_from(tune_minutes, settings)
        config = TrainConfig.from_settings(**settings) if tuning is None else None
        try:
            if tuning is None:
                model = train_model(data, data.source, config, callbacks, progress=progress, former=former)
            else:
                model = tune_model(data, data.source, settings, tuning, callbacks, progress=progress)
        except Interrupted:
            if not is_temporary:
                raise
            notices.warning("Interrupted: the best model so far is returned.")
            if tuning is None:
                model = train_model(data, data.source, replace(config, max_minutes=_AT_ONCE), progress=False)
            else:
                settings, tuning = settings | {"max_minutes": _AT_ONCE}, replace(tuning, tune_minutes=_AT_ONCE)
                model = tune_model(data, data.source, settings, tuning, progress=False)
    export_trained(model)
    return model


def export_trained(model: "Model") -> None:
    """Exports a model as its settings ask; of several workers the chief does, and the others wait for it."""
    config = model.config
    if not config.export_dir:
        return

    def export() -> None:
        model.export(config.export_dir, keep_versions=config.keep_versions, export_anyway=config.export_anyway)

    replicas = join(config.strategy, config.heartbeat_seconds)
    with replicas.together():
        replicas.on_chief(export)


def train_model(
    split: Split | StreamedSplit,
    data: DataConfig,
    config: TrainConfig,
    callbacks: Sequence[Callback] = (),
    *,
    progress: bool = True,
    former: Former | None = None,
) -> "Model":
    """What `fit` and the command `gdns_tf.train` have in common: trains in `config.output_dir`."""
    if config.export_dir:
        check_options(config.export_dir, keep_versions=config.keep_versions)  # before the training, not after
    return _model_of(train(split, data, config, callbacks, progress=progress, former=former), split, data)


def tune_model(
    split: Split | StreamedSplit,
    data: DataConfig,
    settings: Mapping[str, object],
    config: TuneConfig,
    callbacks: Sequence[Callback] = (),
    *,
    progress: bool = True,
) -> "Model":
    """What `fit` with `tune_minutes` and the command `gdns_tf.tune` have in common: searches in `output_dir`.

    Raises:
      InputError: a package for it is missing; or as `gdns_tf.tuning.search.tune`.
    """
    if settings.get("export_dir"):
        check_options(settings["export_dir"])
    if settings.get("strategy") == MULTIWORKER:
        raise InputError("`strategy`=multiworker does not go with tuning", remedy="Tune on one machine, then train.")
    try:
        from gdns_tf.tuning.search import tune  # Optuna, SQLAlchemy and Matplotlib
    except ImportError as error:
        raise InputError(f"tuning needs the package {error.name}", remedy="pip install 'gdns_tf[tune]'") from None
    return _model_of(tune(split, data, settings, config, callbacks, progress=progress), split, data)


def _model_of(run: Run, split: Split | StreamedSplit, data: DataConfig) -> "Model":
    return Model(split, data, load_trained(run.folder.path, split), load_history(run.folder.path))


def load(path: str | Path, data: Split | StreamedSplit | None = None) -> "Model":
    """Loads what `Model.save` wrote, or the folder of a finished run.

    Args:
      path: the folder, on this machine or in an object store.
      data: the data of the run; None: what the folder holds, or else read again from where the run read it.

    Raises:
      InputError: there is no model, it is damaged, or the data is not what it was trained on.
    """
    source = data_of(path)
    split = with_source(load_dataset(source), source) if data is None else data
    return Model(split, source, load_trained(path, split), load_history(path))


class Model(RecommendMethods):
    """A trained recommender. `fit` and `load` make it; `recommend` and its sisters are those of `Recommender`."""

    def __init__(
        self,
        split: Split | StreamedSplit,
        source: DataConfig,
        trained: Trained,
        history: Mapping[str, np.ndarray],
    ) -> None:
        """Args:
        split: the data that it was trained on.
        source: how that was made.
        trained: its weights, metrics and settings.
        history: columns of the validations.
        """
        self.data = split
        self._source, self._trained, self._history = source, trained, history

    def __repr__(self) -> str:
        config, train = self.config, self.data.train
        how = [] if config.objective == PAIRS else [config.objective]
        how += [f"sampler {config.sampler}"] if config.objective in SAMPLING else []
        return (
            f"<gdns_tf.Model: {config.scorer}, {', '.join(how)}, d = {config.dim}; {self.data.name}, "
            f"{train.num_users:,} users, {train.num_items:,} items>"
        )

    @property
    def config(self) -> TrainConfig:
        """The settings that it was trained by."""
        return self._trained.config

    @property
    def metrics(self) -> dict:
        """What `metrics.json` holds: validation and test metrics, epochs, seconds, versions."""
        return self._trained.metrics

    @property
    def history(self) -> "pd.DataFrame":
        """A row for each validation: epoch, seconds, loss and the metrics."""
        import pandas as pd

        return pd.DataFrame(self._history)

    @property
    def factors(self) -> Factors:
        """What recommends: that of the second training, where there was one.

        Not for evaluation: a user's query is made of all that they have, the held-out items too, where the model makes
        queries of histories. `evaluate` and `metrics` go by what was trained on.
        """
        return self._trained.served

    @cached_property
    def signatures(self) -> Signatures:
        """The model's signatures, in this process: see `gdns_tf.clients.signatures`."""
        served = in_memory(self.factors, self.data)
        return Signatures(InProcess(served.signatures(), "the model"), titles_of(self.data.train))

    def evaluate(
        self,
        held_out: str = "test",
        *,
        compare: str | Path = "popularity",
        protocol: str = "sampled",
        ks: Sequence[int] = (1, 3, 10),
        ties: str = "pessimistic",
        users: int = 0,
    ) -> "pd.DataFrame":
        """Ranks each user's held-out items, and tells what the model shows, beside a baseline.

        Args:
          held_out: "test" or "valid".
          compare: "popularity", "itemknn", "ease", "ials" or "ials_scaled" (iALS by implicit, and by irspack with L2
            scaled by frequency), "bpr" or "warp"; or the folder of another run. Baselines are fitted to the same
            training items, with as many factors as the model, and untuned: by options that are sensible on data that
            was not seen. Tuned, they may rank better.
          protocol: "sampled" ranks against 100 fixed items that the user has not, "full" against all of them.
          ks: lengths of the list; what is shown is judged by the longest.
          ties: "pessimistic" puts equal scores above the held-out item, "optimistic" below it.
          users: how many users to measure on, drawn at random by the model's `seed`; 0: all.

        Returns:
          A row for each metric (see `gdns_tf.evaluation.metrics`): "model" and what it is compared with, under its name
          (means over users), "difference" and its "p_value" by a paired test over users. Then, of the lists that users
          would be shown, coverage, concentration, novelty, popularity and likeness (see
          `gdns_tf.evaluation.beyond_accuracy`), for which there is no test: NaN. Above the columns, and in
          `attrs["options"]`, is what the baseline ran with.

        Raises:
          InputError: there is no such baseline or run, its package is not installed, or it would not fit into memory.

        Example:
          model.evaluate(compare="ease", protocol="full", ks=[20])
        """
        import pandas as pd

        leaks.warn(self.metrics)
        other = load_compared(compare, self.data, self._trained.first.dim)
        comparison = evaluate_with_tests(
            self._trained.first,
            sampled(self.data, users, self.config.seed),
            other.model,
            held_out=held_out,
            protocol=protocol,
            ties=ties,
            ks=ks,
            resamples=0,
        )
        tests = comparison.tests
        differences = {name: value - comparison.other_shown[name] for name, value in comparison.shown.items()}
        columns = {
            "model": comparison.means | comparison.shown,
            str(compare): comparison.other | comparison.other_shown,
            "difference": {name: test.difference for name, test in tests.items()} | differences,
            "p_value": {name: test.p_value for name, test in tests.items()},
        }
        ran_with = f"{compare}: {format_options(other.options)}" if other.options else None
        table = pd.DataFrame(columns).rename_axis(index=f"{held_out}, {protocol}", columns=ran_with)
        table.attrs["options"] = other.options
        return table

    def evaluate_by_activity(
        self,
        held_out: str = "test",
        *,
        protocol: str = "sampled",
        ks: Sequence[int] = (1, 3, 10),
        ties: str = "pessimistic",
    ) -> "pd.DataFrame":
        """Tells how well users are served who have few training interactions, a middling number, and many.

        Args:
          held_out, protocol, ks, ties: as for `evaluate`.

        Returns:
          A row for each "group" and "metric": how many "users" it has, the "fewest" and the "most" interactions one of
          them has, the "model"'s mean, the ends "low" and "high" of its 95% confidence interval, and "popularity"'s
          mean. See `gdns_tf.evaluation.user_groups.by_activity`.
        """
        import pandas as pd

        models = self._trained.first, popularity(self.data.train)
        reports = [evaluate(model, self.data, held_out, protocol, ties, ks) for model in models]
        counts = self.data.train.counts[reports[0].users]
        rows = [
            {"group": group.name, "metric": name, "users": group.users, "fewest": group.fewest, "most": group.most}
            | {"model": mean, "low": group.intervals[name][0], "high": group.intervals[name][1]}
            | {"popularity": group.other[name]}
            for group in by_activity(counts, *(report.per_user() for report in reports))
            for name, mean in group.means.items()
        ]
        return pd.DataFrame(rows).set_index(["group", "metric"])

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Writes the model, with its data, to a folder that `load` reads; it appears whole or not at all.

        Of streamed data the folder only says where it lies.

        Args:
          path: the folder, on this machine or in an object store.
          overwrite: whether a model that is there goes.

        Raises:
          InputError: something is there already, or it cannot be written.
        """
        path = as_path(path)
        if path.exists() and not (overwrite and RunFolder(path).flags.exists()):
            remedy = "Choose another folder, or overwrite=True where it is a model."
            raise InputError("there is something already", path=path, remedy=remedy)
        if is_remote(path):
            with mirrored(RunFolder(path), afresh=True) as mirror:
                self._write(mirror.folder)
            return
        with whole_folder(path) as unfinished:
            self._write(RunFolder(unfinished))

    def _write(self, folder: RunFolder) -> None:
        """Writes what `load` reads into an empty folder of this machine."""
        # Data that is read from its shards stays where it is: the metrics have its fingerprint.
        streamed = isinstance(self.data, StreamedSplit)
        data = self._source if streamed else DataConfig(dataset="saved", data_dir=folder.data.name)
        write_text(folder.flags, replayable([data, self.config]))
        if not streamed:
            saved.save(self.data, folder.data)
        folder.write_metrics(self.metrics)
        write_history(folder.history, self._history)
        save_arrays(folder.weights, self._trained.weights.arrays)
        if not streamed:
            saved.save_interactions(self._trained.trained_on, folder.trained_on)
        if self._trained.refit:
            folder.refit.path.mkdir()
            save_arrays(folder.refit.weights, self._trained.refit.arrays)
            folder.refit.write_metrics({"epochs": self.metrics["best_epoch"]})

    def export(
        self,
        export_dir: str | Path,
        *,
        k: int = 100,
        item_dtype: str = "float32",
        version: int | None = None,
        keep_versions: int = 0,
        index: str = "exact",
        limits: Limits | None = None,
        export_anyway: bool = False,
    ) -> Path:
        """Writes the next version of a model for TensorFlow Serving.

        Args:
          export_dir: the folder of the model, whose name is the model's; versions are numbered folders in it.
          k: items that the signature `serving_default` returns.
          item_dtype: "float32" or "float16", in which the item factors are stored.
          version: its number; None: one above the highest.
          keep_versions: how many versions to keep, this one among them; older ones are removed. 0: all.
          index: "exact", or "ivf" for `retrieve_approximately` besides.
          limits: how much a request may ask for; None: the defaults.
          export_anyway: whether a model is exported too that is not fit to be served.

        Returns:
          The version's folder.

        Raises:
          InputError: on validation the model ranks no better than popularity, by the metric `select`, or its scores are
            all alike; or as `gdns_tf.serving.export.export_model`.
        """
        return export_model(
            self.factors,
            self.data,
            export_dir,
            k=k,
            item_dtype=item_dtype,
            version=version,
            keep_versions=keep_versions,
            index=index,
            limits=limits,
            export_anyway=export_anyway,
            evaluated=self._trained.first,
            select=self.config.select,
            measured_on=sampled(self.data, self.config.valid_users, self.config.seed),
            about=about_training(self._trained, self._source),
        )
