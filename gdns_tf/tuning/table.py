"""What a study of Optuna's says of its trials, in our words: the rows of the report and the points of its plot."""

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from gdns_tf.training.config import TrainConfig
from gdns_tf.tuning.space import MODEL, Space

FEWEST = 10
"""Trials of a model, finished or pruned, below which nothing is said of what mattered."""
_TOP = 0.25
"""The share of a model's trials that count as good."""


@dataclass(frozen=True)
class Row:
    """A trial that was finished, pruned, or failed."""

    number: int
    model: str
    settings: dict[str, object]
    """What was searched: name -> value."""
    config: TrainConfig
    state: TrialState
    value: float
    """Its best validation; where it was pruned, so far."""
    epochs: int
    seconds: float
    """Of training; 0 where it did not finish."""
    is_default: bool
    """Whether it is the first trial of its model, which changes nothing."""

    @property
    def is_complete(self) -> bool:
        return self.state == TrialState.COMPLETE


def rows_of(study: optuna.Study, space: Space) -> list[Row]:
    """The trials that came to an end, in their order."""
    defaults = list(space.defaults())
    return [_row(trial, space, defaults) for trial in study.get_trials(deepcopy=False) if _is_told(trial)]


def _is_told(trial: FrozenTrial) -> bool:
    return trial.state.is_finished() and MODEL in trial.params


def _row(trial: FrozenTrial, space: Space, defaults: Sequence[dict]) -> Row:
    config = space.suggest(FixedTrial(trial.params))
    model = trial.params[MODEL]
    return Row(
        number=trial.number,
        model=model,
        settings={name: config.settings()[name] for name in space.models[model].ranges},
        config=config,
        state=trial.state,
        value=_reached(trial),
        epochs=trial.user_attrs.get("epochs", trial.last_step or 0),
        seconds=trial.user_attrs.get("seconds", 0.0),
        is_default=trial.params in defaults,
    )


def _reached(trial: FrozenTrial) -> float:
    """A trial's best validation; NaN where it had none."""
    return max(trial.intermediate_values.values(), default=float("nan"))


def importances(study: optuna.Study, space: Space, model: str) -> dict[str, float]:
    """How much each setting of a model decides whether a trial is among its best quarter; they sum to 1.

    By PED-ANOVA (Watanabe et al., IJCAI 2023), which needs no forest of trees. Empty where there are too few trials.
    """
    prefix, ranges = f"{model}.", space.models[model].ranges
    of_model = optuna.create_study(direction="maximize")
    # Pruned ones count by what they had come to: enough to tell that they are not among the best.
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
        if trial.params[MODEL] == model:
            of_model.add_trial(
                optuna.create_trial(
                    params={name.removeprefix(prefix): v for name, v in trial.params.items() if name != MODEL},
                    distributions={
                        name.removeprefix(prefix): d for name, d in trial.distributions.items() if name != MODEL
                    },
                    value=_reached(trial),
                )
            )
    if len(of_model.trials) < FEWEST or len(ranges) < 2:
        return {}
    evaluator = PedAnovaImportanceEvaluator(target_quantile=_TOP)
    return get_param_importances(of_model, evaluator=evaluator, params=list(ranges))


def best_quarter(rows: Sequence[Row]) -> list[Row]:
    """The trials, finished or pruned, with the best validations: one in four and one at least, best first."""
    told = sorted((row for row in rows if row.state != TrialState.FAIL), key=lambda row: -row.value)
    return told[: max(1, round(_TOP * len(told)))]
