"""Hyper-parameters of each system, chosen on validation with the same number of trials for all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gdns_tf.studies.session import SELECTION, Session, overrides_of
from gdns_tf.studies.systems import SYSTEMS, System
from gdns_tf.studies.trial import Result, Trial
from pipelines.errors import InputError

Alternative = tuple[tuple[str, object], ...]
"""Sorted (name, value) of flags, or of options of a baseline."""


@dataclass(frozen=True)
class Tuned:
    """What was chosen for a system, among what."""

    chosen: Alternative
    tried: dict[Alternative, float]
    """Alternative -> validation NDCG@3, mean over the tuning seeds; NaN where training diverged."""


def tune(session: Session, names: Sequence[str]) -> tuple[dict[str, Tuned], list[Result]]:
    """Tunes systems in two rounds: the shared alternatives, then from the best of those the system's own.

    Returns:
      What was chosen for each system, and the results of all trials.

    Raises:
      InputError: a system diverged with all of its alternatives.
    """
    tried: dict[str, dict[Alternative, float]] = {name: {} for name in names}
    results: list[Result] = []

    epochs = session.config.tuning_epochs or session.train.max_epochs

    def run_round(title: str, alternatives: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
        trials = {
            (name, frozen(option)): [
                as_trial(session, name, option, seed, max_epochs=epochs) for seed in session.config.tuning_seeds
            ]
            for name, options in alternatives.items()
            for option in options
        }
        done = session.run([trial for group in trials.values() for trial in group], title)
        results.extend(done.values())
        for (name, option), group in trials.items():
            values = [done[trial].metrics["valid"][SELECTION] if trial in done else np.nan for trial in group]
            tried[name][option] = float(np.mean(values))

    tunable = [name for name in names if any(SYSTEMS[name].own)]
    shared = [{}, *map(overrides_of, session.config.tune)]
    run_round("tuning 1/2", {name: _shared(SYSTEMS[name], shared, session.train.l2) for name in tunable})
    run_round(
        "tuning 2/2",
        {name: [dict(best(name, tried[name])) | dict(option) for option in SYSTEMS[name].own] for name in tunable},
    )
    return {name: Tuned(best(name, tried[name]) if name in tunable else (), tried[name]) for name in names}, results


def best(name: str, tried: Mapping[Alternative, float]) -> Alternative:
    """The alternative with the highest value, the first of equals.

    Raises:
      InputError: the system `name` diverged with all of them.
    """
    values = {option: value for option, value in tried.items() if not np.isnan(value)}
    if not values:
        raise InputError(
            f"{name} diverged with every alternative",
            remedy="Lower `learning_rate`, or regularise more (`user_l2`, or `l2` in `tune`).",
        )
    return max(values, key=values.get)


def _shared(system: System, shared: Sequence[Mapping[str, object]], l2: float) -> list[Mapping[str, object]]:
    """The shared alternatives as they suit a system, as many as there are."""
    if system.shared:
        return list(system.shared[: len(shared)])
    if system.l2_factor == 1:
        return list(shared)
    return [{**option, "l2": system.l2_factor * option.get("l2", l2)} for option in shared]


def as_trial(session: Session, name: str, option: Mapping[str, object], seed: int, **changes: object) -> Trial:
    """A trial of a system with some of its hyper-parameters changed."""
    system: System = SYSTEMS[name]
    if system.tuned_options:
        return session.trial(name, {**system.overrides, **changes}, seed, system.task, option)
    return session.trial(name, {**system.overrides, **option, **changes}, seed, system.task)


def describe(option: Alternative) -> str:
    """An alternative as flags."""
    return " ".join(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in option)


def frozen(option: Mapping[str, object]) -> Alternative:
    """An alternative as a key."""
    return tuple(sorted(option.items()))
