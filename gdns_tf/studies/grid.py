"""All combinations of a user's own flags and values."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from gdns_tf.report_page import save_report
from gdns_tf.samplers.registry import SAMPLERS
from gdns_tf.studies import plots
from gdns_tf.studies.arm import Arm
from gdns_tf.studies.arms import all_of, run_arms, users_of
from gdns_tf.studies.comparison import compare_all
from gdns_tf.studies.markdown import interval, mean_sd, provenance, table, verdicts
from gdns_tf.studies.session import METRICS, SELECTION, Session, overrides_of
from gdns_tf.studies.trial import Result
from gdns_tf.training.config import TrainConfig


def run(session: Session) -> None:
    """Trains every combination and writes the report."""
    varied = [_values(part) for part in session.config.vary]
    arms = []
    for combination in itertools.product(*varied):
        overrides = overrides_of(";".join(combination))
        if "sampler" in overrides:  # the rest as a run with that sampler alone would have it
            overrides = _brought(session, str(overrides["sampler"])) | overrides
        arms.append(Arm(" ".join(combination), str(overrides.get("sampler", session.train.sampler)), overrides))
    save_report(session.folder / "report.md", report(session, run_arms(session, arms, "grid")))


def _brought(session: Session, sampler: str) -> dict[str, object]:
    """What a sampler brings in place of what the study's brought (`Sampler.defaults`), but for what its flags set.

    Other studies name all that their systems need: there a sampler brings nothing.
    """
    defaults = TrainConfig.defaults_for({"objective": session.train.objective, "sampler": sampler}, tells=False)
    names = SAMPLERS[sampler].defaults.keys() | SAMPLERS[session.train.sampler].defaults.keys()
    return {name: getattr(defaults, name) for name in sorted(names - session.given)}


def _values(part: str) -> list[str]:
    """The alternatives "flag=value" of a text such as "l2=0.01|0.1"."""
    name, _, values = part.partition("=")
    return [f"{name}={value}" for value in values.split("|")]


def report(session: Session, results: Mapping[str, Sequence[Result]]) -> str:
    """`report.md`; draws the plot on the way."""

    def valid(title: str) -> float:
        return float(np.mean([r.metrics["valid"][SELECTION] for r in results[title]]))

    order = sorted(results, key=valid, reverse=True)
    best = order[0]
    rows = [
        [title, mean_sd([r.metrics["valid"][SELECTION] for r in results[title]])]
        + [mean_sd([r.metrics["test"][m] for r in results[title]]) for m in METRICS]
        for title in order
    ]
    plots.ranking(
        session.folder / "ranking.png",
        {title: [r.metrics["test"]["ndcg@3"] for r in group] for title, group in results.items()},
        {},
        "NDCG@3",
    )
    comparison = compare_all(users_of(results, SELECTION), best)
    lines = [[title, interval(comparison[title])] for title in order[1:]]
    return "\n".join(
        [
            f"# {len(results)} settings on {session.data.dataset}",
            "",
            table(["setting", "validation NDCG@3", *(f"test {title}" for title in METRICS.values())], rows),
            "",
            "Mean ± standard deviation over seeds, best on validation first.",
            "",
            "![test NDCG@3](ranking.png)",
            "",
            *([table(["setting", f"test NDCG@3 less that of {best}"], lines), ""] if lines else []),
            *([f"- {verdicts(comparison, {title: title for title in results}, 'NDCG@3', best)}", ""] if lines else []),
            provenance(session, all_of(results), session.config.seeds),
        ]
    )
