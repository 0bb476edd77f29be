"""Figure 4 of the paper: validation NDCG@1 by epoch of GDNS and of GDNS with a part taken away."""

from collections.abc import Mapping, Sequence

from gdns_tf.report_page import save_report
from gdns_tf.studies import plots
from gdns_tf.studies.arm import Arm
from gdns_tf.studies.arms import all_of, curve, run_arms, users_of
from gdns_tf.studies.comparison import compare_all
from gdns_tf.studies.markdown import interval, mean_sd, provenance, table, verdicts
from gdns_tf.studies.session import METRICS, Session
from gdns_tf.studies.systems import SYSTEMS
from gdns_tf.studies.trial import Result

FIGURE = "ndcg@1"
BASELINE = "gdns"


def run(session: Session) -> None:
    """Trains the variants, compares them with GDNS, and writes the report."""
    arms = [
        Arm(SYSTEMS[name].title, name, {**SYSTEMS[name].overrides, **session.choice(name)})
        for name in session.config.systems
        if SYSTEMS[name].task == "train"
    ]
    results = run_arms(session, arms, "variants")
    save_report(session.folder / "report.md", report(session, results))


def report(session: Session, results: Mapping[str, Sequence[Result]]) -> str:
    """`report.md`; draws the plot on the way."""
    curves = {title: curve(group, FIGURE) for title, group in results.items()}
    plots.curves(
        session.folder / "curves.png",
        {title: (x, y) for title, (x, y, _) in curves.items()},
        "validation NDCG@1 (mean over seeds; band: sd)",
        deviations={title: sd for title, (_, _, sd) in curves.items()},
    )
    rows = []
    for title, group in results.items():
        x, y, _ = curves[title]
        at = int(y.argmax())
        row = [title, *(mean_sd([r.metrics["test"][m] for r in group]) for m in METRICS)]
        rows.append([*row, f"{y[at]:.4f}", f"{x[at]:.0f}", f"{y[-1]:.4f}", f"{y[-1] - y[at]:+.4f}"])
    header = ["variant", *(f"test {title}" for title in METRICS.values())]
    header += ["peak of validation NDCG@1", "at epoch", f"at epoch {session.train.max_epochs}", "fall since the peak"]
    baseline = SYSTEMS[BASELINE].title
    comparisons = {m: compare_all(users_of(results, m), baseline) for m in METRICS} if baseline in results else {}
    others = [title for title in results if title != baseline]
    titles = {title: title for title in results}
    return "\n".join(
        [
            f"# Ablation on {session.data.dataset} (Figure 4)",
            "",
            "![validation NDCG@1 by epoch](curves.png)",
            "",
            table(header, rows),
            "",
            *(
                [
                    table(
                        ["variant", *(f"test {title} less {baseline}'s" for title in METRICS.values())],
                        [[title, *(interval(comparisons[m][title]) for m in METRICS)] for title in others],
                    ),
                    "",
                    f"95% intervals and p: paired bootstrap over users and seeds, p corrected for {len(others)} "
                    "comparisons (Holm).",
                    "",
                    *(f"- {verdicts(c, titles, METRICS[m], baseline)}" for m, c in comparisons.items()),
                    "",
                ]
                if comparisons and others
                else []
            ),
            provenance(session, all_of(results), session.config.seeds),
        ]
    )
