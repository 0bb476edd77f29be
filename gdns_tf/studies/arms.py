"""The arms of a study, each trained for the same seeds."""

from collections.abc import Mapping, Sequence

import numpy as np

from gdns_tf.studies.arm import Arm
from gdns_tf.studies.comparison import per_user
from gdns_tf.studies.session import Session, result_row
from gdns_tf.studies.trial import Result
from pipelines.errors import InputError


def run_arms(session: Session, arms: Sequence[Arm], title: str, *, full: bool = False) -> dict[str, list[Result]]:
    """Trains all arms for all seeds and writes `results.jsonl`.

    Args:
      session: the study.
      arms: the alternatives.
      title: of the progress bar.
      full: whether to rank against all items too: see `Trial.full`.

    Returns:
      Title -> results, a seed each, in the order of the arms.

    Raises:
      InputError: an arm diverged.
    """
    trials = {
        arm.title: [session.trial(arm.label, arm.overrides, seed, arm.task, full=full) for seed in session.config.seeds]
        for arm in arms
    }
    done = session.run([trial for group in trials.values() for trial in group], title)
    for name, group in trials.items():
        if missing := [trial.config.seed for trial in group if trial not in done]:
            raise InputError(
                f"{name} diverged with seed {missing[0]}", remedy="Leave it out, or lower --learning_rate."
            )
    results = {name: [done[trial] for trial in group] for name, group in trials.items()}
    session.write_results([result_row(r, "final") for group in results.values() for r in group])
    return results


def users_of(results: Mapping[str, Sequence[Result]], metric: str, split: str = "test") -> dict[str, np.ndarray]:
    """Title -> [num_seeds, num_users] of a metric."""
    return {title: per_user([r.ranks[split] for r in group], metric) for title, group in results.items()}


def all_of(results: Mapping[str, Sequence[Result]]) -> list[Result]:
    return [result for group in results.values() for result in group]


def curve(group: Sequence[Result], metric: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Epochs, and mean and standard deviation over seeds of a validation metric, as far as all seeds went."""
    length = min(len(r.history["epoch"]) for r in group)
    values = np.stack([r.history[metric][:length] for r in group])
    return group[0].history["epoch"][:length], *mean_and_band(values)


def mean_and_band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over seeds [num_seeds, ...]; one seed deviates by 0."""
    return values.mean(axis=0), values.std(axis=0, ddof=min(1, len(values) - 1))
