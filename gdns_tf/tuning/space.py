"""What is searched: the tables, and what a user's settings leave of them.

A *model* here is a scorer with an objective, as "history-multinomial"; each has settings of its own to search.
"""

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gdns_tf.flags import check_setting
from gdns_tf.training.config import HARMLESS, TrainConfig, objectives_of
from gdns_tf.training.recipes import MULTINOMIAL, PAIRS, SAMPLED_SOFTMAX
from gdns_tf.tuning.config import TuneConfig, split_choices
from pipelines.errors import InputError

if TYPE_CHECKING:
    import optuna

MODEL = "model"
"""The parameter that chooses among models."""
_UNFIT = (HARMLESS | {"select", "seed"}) - {"max_epochs"}
"""Settings of which there is nothing to choose by validation."""
_DIGITS = 3
"""Significant digits of a proposed value: more are noise, and settings that one copies should be short."""


@dataclass(frozen=True)
class Between:
    """Numbers from `low` to `high`, even in their logarithm if `log`."""

    low: float
    high: float
    log: bool = False

    def around(self, default: float) -> "Between":
        return self

    def suggest(self, trial: "optuna.Trial", name: str, default: float) -> float:
        """A value for a trial of Optuna's."""
        value = trial.suggest_float(name, self.low, self.high, log=self.log)
        return value if value == default else float(f"{value:.{_DIGITS}g}")

    def place(self, value: float) -> float:
        """Where a value lies: 0 at `low`, 1 at `high`."""
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return (at - low) / (high - low)

    def __str__(self) -> str:
        return f"{self.low:.3g} to {self.high:.3g}{' (log)' if self.log else ''}"


@dataclass(frozen=True)
class Around:
    """Numbers from the recipe's value / `factor` to that times it, even in their logarithm."""

    factor: float

    def around(self, default: float) -> Between:
        return Between(default / self.factor, default * self.factor, log=True)


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple

    def around(self, default: object) -> "Choice":
        return self

    def suggest(self, trial: "optuna.Trial", name: str, default: object) -> object:
        """A value for a trial of Optuna's."""
        return trial.suggest_categorical(name, self.values)

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))


Range = Between | Around | Choice


@dataclass(frozen=True)
class Objective:
    """What is searched for an objective."""

    scorers: tuple[str, ...]
    """Those worth trying where the user names none."""
    settings: Mapping[str, Range]


OBJECTIVES: dict[str, Objective] = {
    MULTINOMIAL: Objective(
        scorers=("history", "gmf"),
        settings={"user_l2": Around(4), "learning_rate": Around(3), "dropout": Between(0, 0.4)},
    ),
    PAIRS: Objective(
        scorers=("gmf",),
        settings={
            "sampler": Choice(("gdns", "uniform", "dns")),
            "l2": Around(4),
            "learning_rate": Around(3),
            "dropout": Between(0, 0.5),
        },
    ),
    SAMPLED_SOFTMAX: Objective(
        scorers=("history",),
        settings={
            "sampler": Choice(("uniform", "gdns_tracked")),
            "user_l2": Around(4),
            "learning_rate": Around(3),
            "dropout": Between(0, 0.4),
        },
    ),
}
"""A new objective needs its entry here. The first is tried first: it is what is trained unasked."""
SCORERS: dict[str, Mapping[str, Range]] = {
    "history": {"history_dropout": Between(0, 0.6), "history_power": Between(0.3, 1)},
}
"""Settings of a scorer that are searched whatever the objective."""


@dataclass(frozen=True)
class Model:
    """A scorer with an objective, and what is searched of their settings."""

    given: Mapping[str, object]
    """What is set, the scorer and the objective among it, and the first of the user's own choices where they are not
    the defaults."""
    base: TrainConfig
    """With that, and the defaults."""
    ranges: Mapping[str, Between | Choice]

    @property
    def name(self) -> str:
        return f"{self.base.scorer}-{self.base.objective}"

    def defaults(self) -> dict[str, object]:
        """Parameters of the trial that changes nothing."""
        settings = self.base.settings()
        return {MODEL: self.name} | {f"{self.name}.{setting}": settings[setting] for setting in self.ranges}

    def suggest(self, trial: "optuna.Trial") -> TrainConfig:
        """The settings of a trial.

        Raises:
          InputError: they do not go together.
        """
        settings = self.base.settings()
        chosen = {s: r.suggest(trial, f"{self.name}.{s}", settings[s]) for s, r in self.ranges.items()}
        return _config({**self.given, **chosen})  # and not `base` changed: another sampler brings other settings

    def described(self) -> dict[str, str]:
        """All that makes a difference: setting -> its value, or what it is searched over."""
        harmless = HARMLESS - ({"max_epochs"} if self.base.schedule == "cosine" else set())
        settings = {name: str(value) for name, value in self.base.settings().items() if name not in harmless}
        return settings | {name: f"searched over {values}" for name, values in self.ranges.items()}


class Space:
    """The models that a user's settings allow, and what is left to search of each."""

    def __init__(self, settings: Mapping[str, object], choices: Mapping[str, Sequence]) -> None:
        """Args:
        settings: of training, by name, that stay as they are. A model on which one has no effect is left out.
        choices: setting -> values to choose among, in place of the tables' or beside them.

        Raises:
          InputError: a setting cannot work, or nothing is left to search.
        """
        for name in settings.keys() & choices.keys():
            raise InputError(f"`{name}` is both set and searched", remedy="Leave one of the two out.")
        if unfit := sorted(choices.keys() & _UNFIT):
            raise InputError(f"`{unfit[0]}` cannot be searched", remedy="Set it to one value.")
        for name, values in choices.items():
            if not all(isinstance(value, (str, int, float)) for value in values):
                raise InputError(f"`{name}`: what is searched are names and numbers", remedy="Register it by a name.")
            for value in values:
                check_setting(TrainConfig, name, value)
        self.models: dict[str, Model] = {}
        idle, wrong = [], []
        for objective, scorer in _pairs(settings, choices):
            if name := _idle(objective, {*settings, *choices}):
                problem = f"`{name}` has no effect on `objective`={objective}"
                idle.append(InputError(problem, remedy="Leave one of the two out."))
                continue
            try:
                model = _model(objective, scorer, settings, choices)
                self.models[model.name] = model
            except InputError as error:  # as where a setting is of one scorer, and not of another
                wrong.append(error)
        if not self.models:
            raise (wrong or idle)[0]
        if len(self.models) == 1 and not next(iter(self.models.values())).ranges:
            raise InputError(
                "nothing is left to search: all that tuning tries is set",
                remedy="Set fewer of them, or train without tuning.",
            )

    def defaults(self) -> Iterator[dict[str, object]]:
        """Parameters of the trials that change nothing: first that of what is trained unasked."""
        for model in self.models.values():
            yield model.defaults()

    @property
    def searched(self) -> set[str]:
        """The settings in which trials differ."""
        named = {"objective", "scorer"} if len(self.models) > 1 else set()
        return named.union(*(model.ranges for model in self.models.values()))

    def suggest(self, trial: "optuna.Trial") -> TrainConfig:
        """The settings of a trial.

        Raises:
          InputError: they do not go together.
        """
        return self.models[trial.suggest_categorical(MODEL, tuple(self.models))].suggest(trial)

    def described(self) -> dict[str, dict[str, str]]:
        """What a study of this space is known again by: model -> see `Model.described`."""
        return {name: model.described() for name, model in self.models.items()}


def space_of(settings: Mapping[str, object], config: TuneConfig) -> Space:
    """What a search of some settings searches; no data is needed to tell that they cannot work.

    Args:
      settings: of training, by name; what is set stays as it is, and a list is searched.
      config: what to search besides.

    Raises:
      InputError: as `Space`, or a setting does not go with tuning.
    """
    if settings.get("warm_start"):
        raise InputError(
            "`warm_start` does not go with tuning, whose trials begin afresh",
            remedy="Tune without it; then train by what was found, and begin later runs from that one.",
        )
    fixed, choices = split_choices(settings)
    return Space(fixed, config.choices | choices)


def _pairs(settings: Mapping[str, object], choices: Mapping[str, Sequence]) -> Iterator[tuple[str, str]]:
    """Objectives and scorers that are allowed, best first."""

    def allowed(name: str, usual: Sequence[str]) -> Sequence[str]:
        return [settings[name]] if name in settings else choices.get(name, usual)

    for objective in allowed("objective", tuple(OBJECTIVES)):
        usual = OBJECTIVES[objective].scorers if objective in OBJECTIVES else ("gmf",)
        for scorer in allowed("scorer", usual):
            yield objective, scorer


def _model(objective: str, scorer: str, settings: Mapping[str, object], choices: Mapping[str, Sequence]) -> Model:
    """Raises InputError where a setting cannot work with the objective and the scorer."""
    named = {"objective": objective, "scorer": scorer}
    chosen = {name: Choice(tuple(values)) for name, values in choices.items() if name not in named}
    fixed = {name: value for name, value in settings.items() if name not in named}
    firsts = {name: choice.values[0] for name, choice in chosen.items()}
    usual = dict(OBJECTIVES[objective].settings) if objective in OBJECTIVES else {}
    if "sampler" in usual and "sampler" not in fixed:  # without those that lack a setting that is set
        able = [name for name in usual["sampler"].values if _works(named | {"sampler": name} | fixed | firsts)]
        usual["sampler"] = Choice(tuple(able))
        if len(able) < 2:
            del usual["sampler"]
            if able and "sampler" not in firsts:
                fixed["sampler"] = able[0]
    usual = {name: each for name, each in (usual | SCORERS.get(scorer, {})).items() if name not in fixed}
    defaults = _config(named | fixed).settings()
    changed = {name: first for name, first in firsts.items() if defaults.get(name) not in chosen[name].values}
    given = named | fixed | changed
    base = _config(given)
    defaults = base.settings()
    return Model(given, base, {name: each.around(defaults[name]) for name, each in (usual | chosen).items()})


def _config(settings: Mapping[str, object]) -> TrainConfig:
    """`TrainConfig.from_settings`, which would say at every trial what a sampler brings."""
    return TrainConfig.defaults_for(settings, tells=False).with_settings(**settings)


def _works(settings: Mapping[str, object]) -> bool:
    try:
        _config(settings)
    except InputError:
        return False
    return True


def _idle(objective: str, names: Set[str]) -> str:
    """The first, by name, of some settings that mean something to other objectives alone; empty if none does."""
    return min((name for name, meant in objectives_of(names).items() if objective not in meant), default="")
