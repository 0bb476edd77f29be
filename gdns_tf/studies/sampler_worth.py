"""What samplers are worth: the quality of one model by how its softmax is sampled, against the time that it takes."""

from collections.abc import Mapping, Sequence

import numpy as np

from gdns_tf.report_page import save_report
from gdns_tf.studies import plots
from gdns_tf.studies.arms import all_of, run_arms
from gdns_tf.studies.comparison import compare_pairs, per_user
from gdns_tf.studies.markdown import interval, mean_sd, provenance, table
from gdns_tf.studies.sampler_arms import ARMS, QUESTIONS
from gdns_tf.studies.session import METRICS, SELECTION, Session
from gdns_tf.studies.trial import Result

TESTED = {"test NDCG@3": ("test", "ndcg@3"), "test full NDCG@20": ("full_test", "ndcg@20")}
"""Title -> (ranks, metric)."""


def run(session: Session) -> None:
    """Trains all arms for all seeds and writes the report."""
    arms = [ARMS[name] for name in session.config.arms]
    results = run_arms(session, arms, "samplers", full=True)
    save_report(session.folder / "report.md", report(session, results))


def report(session: Session, results: Mapping[str, Sequence[Result]]) -> str:
    """`report.md`; draws the plot on the way."""
    seconds = {title: np.array([r.seconds_to_best for r in group]) for title, group in results.items()}
    test = {title: float(np.mean([r.metrics["test"]["ndcg@3"] for r in group])) for title, group in results.items()}
    plots.trade_off(
        session.folder / "cost.png", {title: (seconds[title].mean(), test[title]) for title in results}, "NDCG@3"
    )
    rows = []
    for title, group in results.items():
        full = [r.full_means("test")["ndcg@20"] for r in group]
        row = [title, mean_sd([r.metrics["valid"][SELECTION] for r in group])]
        row += [*(mean_sd([r.metrics["test"][m] for r in group]) for m in METRICS), mean_sd(full)]
        per_epoch = np.mean([r.metrics["seconds_per_epoch"] for r in group])
        rows.append([*row, f"{seconds[title].mean():.1f}", f"{1000 * per_epoch:.0f}"])
    header = ["negatives", "validation NDCG@3", *(f"test {title}" for title in METRICS.values()), "test full NDCG@20"]
    return "\n".join(
        [
            f"# What samplers are worth on {session.data.dataset}",
            "",
            table([*header, "seconds to best", "ms an epoch"], rows),
            "",
            "Mean ± standard deviation over seeds. The model, its regularisation and its schedule are the same in all "
            "lines: what was found best for the full softmax. Seconds: of training to the epoch with the best "
            f"validation, {session.config.workers} trial(s) at a time.",
            "",
            "![test NDCG@3 over seconds](cost.png)",
            "",
            *_tests(session, results),
            provenance(session, all_of(results), session.config.seeds),
        ]
    )


def _tests(session: Session, results: Mapping[str, Sequence[Result]]) -> list[str]:
    """Every arm against the first two, and the questions, of the arms that were run."""

    def compared(pairs: Sequence[tuple[str, str, str]]) -> list[list[str]]:
        """Rows of (label, a, b): the label, and a less b by each metric."""
        by_metric = []
        for ranks, metric in TESTED.values():
            users = {title: per_user([r.ranks[ranks] for r in group], metric) for title, group in results.items()}
            by_metric.append(compare_pairs({label: (users[a], users[b]) for label, a, b in pairs}))
        return [[label, *(interval(found[label]) for found in by_metric)] for label, _, _ in pairs]

    parts = []
    for baseline in [ARMS[name].title for name in session.config.arms[:2]]:
        others = [title for title in results if title != baseline]
        if not others:
            continue
        parts += [
            f"## Against {baseline}",
            "",
            table(["negatives", *(f"{title}, less" for title in TESTED)], compared([(t, t, baseline) for t in others])),
            "",
        ]
    asked = [(question, ARMS[a].title, ARMS[b].title) for question, a, b in QUESTIONS]
    asked = [(f"{q} {a} less {b}", a, b) for q, a, b in asked if a in results and b in results]
    if asked:
        parts += ["## Questions", "", table(["question", *TESTED], compared(asked)), ""]
    note = "Differences, 95% intervals; p: paired bootstrap over users and seeds, corrected within each column (Holm)."
    return [*parts, note, ""] if parts else []
