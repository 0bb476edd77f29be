"""Our model against what users would take instead: every system tuned alike, over several seeds."""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from gdns_tf.evaluation.baselines import BASELINES
from gdns_tf.evaluation.baselines.packages import require_package
from gdns_tf.evaluation.selection import SelectionMetric
from gdns_tf.report_page import save_report
from gdns_tf.studies.peer_systems import TRAIN, Contender, contenders, ours
from gdns_tf.studies.peers_report import report
from gdns_tf.studies.search import alternatives
from gdns_tf.studies.session import Session, result_row
from gdns_tf.studies.trial import Result, Trial
from gdns_tf.studies.tuning import Alternative, Tuned, best, frozen
from pipelines.atomic import write_text


def run(session: Session) -> None:
    """Tunes each system, trains it for all seeds, and writes the report."""
    systems = contenders(session.config.peers, session.config.dims)
    for system in systems:
        if system.peer.task != TRAIN and (package := BASELINES[system.peer.task].package):
            require_package(package, system.peer.title)  # rather now than hours into the study
    tuned, tuning = _tune(session, systems)
    trials = {c: [_trial(session, c, tuned[c].chosen, seed) for seed in _seeds(session, c)] for c in systems}
    done = _run(session, [trial for group in trials.values() for trial in group], "final runs")
    finals = {c: [done[t] for t in group] for c, group in trials.items() if all(t in done for t in group)}
    rows = [result_row(r, "tuning") for r in tuning] + [_row(c, r) for c, group in finals.items() for r in group]
    session.write_results(rows)
    chosen = {c.title: dict(tuned[c].chosen) for c in systems}
    write_text(session.folder / "tuned.json", json.dumps(chosen, indent=2) + "\n")
    save_report(session.folder / "report.md", report(session, tuned, finals))


def _tune(session: Session, systems: Sequence[Contender]) -> tuple[dict[Contender, Tuned], list[Result]]:
    """Tries as many settings of each system, all from the start, and takes the best by validation."""
    trials: dict[Contender, dict[Alternative, list[Trial]]] = {}
    for system in systems:
        space = ours(session.train) if system.peer.space is None else system.peer.space
        options = map(frozen, alternatives(space, session.config.tuning_trials) if space else [])
        seeds = session.config.tuning_seeds if system.peer.learns_factors else [0]
        trials[system] = {option: [_trial(session, system, option, seed) for seed in seeds] for option in options}
    done = _run(session, [t for tried in trials.values() for group in tried.values() for t in group], "tuning")
    tuned = {}
    for system, groups in trials.items():
        tried = {option: _validation(session, group, done) for option, group in groups.items()}
        tuned[system] = Tuned(best(system.title, tried) if tried else (), tried)
    return tuned, list(done.values())


def _validation(session: Session, group: Sequence[Trial], done: Mapping[Trial, Result]) -> float:
    """Mean over the trials of the metric that is chosen by; NaN where one diverged."""
    metric = SelectionMetric(session.train.select)
    return float(np.mean([done[t].selected(metric) if t in done else np.nan for t in group]))


def _seeds(session: Session, system: Contender) -> Sequence[int]:
    """What depends on no seed is run once."""
    return session.config.seeds if system.peer.learns_factors else [0]


def _trial(session: Session, system: Contender, option: Alternative, seed: int) -> Trial:
    size = {"dim": system.dim} if system.dim else {}
    if system.peer.task == TRAIN:
        return session.trial(system.label, {**size, **dict(option)}, seed, full=True)
    return session.trial(system.label, size, seed, system.peer.task, dict(option), full=True)


def _run(session: Session, trials: Sequence[Trial], title: str) -> dict[Trial, Result]:
    """A process each, so that the memory that is measured is that of one trial."""
    return session.run(trials, title, trials_a_process=1)


def _row(system: Contender, result: Result) -> dict[str, object]:
    row = result_row(result, "final") | {"label": system.title}  # ours and ours untuned share trials
    return row | {"full_test": result.full_means("test")} | dict(result.measures)
