"""Table 3 of the paper: every system, tuned alike, over several seeds."""

import json
from collections.abc import Mapping, Sequence

import numpy as np

from gdns_tf.report_page import save_report
from gdns_tf.studies import cost, plots
from gdns_tf.studies.arms import curve
from gdns_tf.studies.comparison import compare_all, per_user
from gdns_tf.studies.markdown import interval, mean_sd, provenance, table, verdicts
from gdns_tf.studies.session import METRICS, SELECTION, Session, result_row
from gdns_tf.studies.systems import SYSTEMS
from gdns_tf.studies.trial import Result
from gdns_tf.studies.tuning import Tuned, as_trial, describe, tune
from pipelines.atomic import write_text

FAR_BELOW = "popularity"
"""Left out of the plots, where it would press all others together."""
Finals = Mapping[str, Sequence[Result]]
"""System -> its results, a seed each."""


def run(session: Session) -> None:
    """Tunes, trains, compares, times, and writes the report."""
    names, seeds = session.config.systems, session.config.seeds
    tuned, tuning = tune(session, names)
    trials = {name: [as_trial(session, name, dict(tuned[name].chosen), seed) for seed in seeds] for name in names}
    done = session.run([trial for group in trials.values() for trial in group], "final runs")
    finals = {name: [done[t] for t in group] for name, group in trials.items() if all(t in done for t in group)}
    rows = [result_row(r, "tuning") for r in tuning] + [result_row(r, "final") for g in finals.values() for r in g]
    session.write_results(rows)
    chosen = {name: dict(choice.chosen) for name, choice in tuned.items()}
    write_text(session.folder / "tuned.json", json.dumps(chosen, indent=2) + "\n")
    costs = cost.measure(session, {n: trials[n][0] for n in finals}) if session.config.cost_rounds else {}
    save_report(session.folder / "report.md", report(session, tuned, finals, costs))


def report(
    session: Session, tuned: Mapping[str, Tuned], finals: Finals, costs: Mapping[str, Mapping[str, float]]
) -> str:
    """`report.md`; draws the plots on the way."""
    titles = {name: SYSTEMS[name].title for name in finals}
    results = [result for group in finals.values() for result in group]
    has_published = session.data.dataset == "srns"
    compared = {n: group for n, group in finals.items() if n != FAR_BELOW}
    values = {titles[n]: [r.metrics["test"]["ndcg@3"] for r in group] for n, group in compared.items()}
    published = {titles[n]: SYSTEMS[n].paper[1] for n in finals if has_published and SYSTEMS[n].paper}
    plots.ranking(session.folder / "ranking.png", values, published, "NDCG@3")
    curves = {titles[n]: curve(group, SELECTION) for n, group in finals.items() if group[0].history}
    if curves:  # the first epochs, where all rise, would leave no room for what comes after
        plots.curves(
            session.folder / "curves.png",
            {title: (x, y) for title, (x, y, _) in curves.items()},
            "validation NDCG@3 (mean over seeds; band: sd)",
            deviations={title: sd for title, (_, _, sd) in curves.items()},
            floor=float(np.median([y[len(y) // 8] for _, y, _ in curves.values()])),
        )
    parts = [
        f"# {len(finals)} systems on {session.data.dataset}",
        "",
        _results(finals, titles, has_published),
        "",
        "Mean ± standard deviation over seeds, on test; hyper-parameters and epochs chosen on validation.",
        *([_published_note(finals)] if has_published else []),
        "",
        "![test NDCG@3](ranking.png)",
        "",
        *_significance(session, finals, titles),
        *(_cost(session, finals, titles, costs) if costs else []),
        *(["## Validation during training", "", "![validation NDCG@3 by epoch](curves.png)", ""] if curves else []),
        *_tuning(session, tuned, titles),
        provenance(session, results, session.config.seeds),
    ]
    return "\n".join(parts)


def _results(finals: Finals, titles: Mapping[str, str], has_published: bool) -> str:
    rows = []
    for name, group in finals.items():
        row = [titles[name], *(mean_sd([r.metrics["test"][m] for r in group]) for m in METRICS)]
        row.append(mean_sd([r.metrics["valid"][SELECTION] for r in group]))
        if has_published:
            row += [" / ".join(f"{x:.4f}" for x in figures or ()) for figures in SYSTEMS[name].published.values()]
        rows.append(row)
    header = ["system", *METRICS.values(), "validation NDCG@3"]
    return table(header + (["paper's Table 3", "SRNS's released weights"] if has_published else []), rows)


def _published_note(finals: Finals) -> str:
    """Which systems fall short of their published figures by more than two standard errors of ours."""
    short = []
    for name, group in finals.items():
        for source, figures in SYSTEMS[name].published.items():
            for metric, figure in zip(METRICS, figures or (), strict=False):
                ours = np.array([r.metrics["test"][metric] for r in group])
                error = ours.std(ddof=1) / np.sqrt(len(ours)) if len(ours) > 1 else 0.0
                if ours.mean() < figure - 2 * error:
                    short.append(
                        f"{SYSTEMS[name].title} {METRICS[metric]} ({ours.mean():.4f} against {figure:.4f}, {source})"
                    )
    verdict = "Short of a published figure by more than two standard errors of ours: " + "; ".join(short) + "."
    return "\n" + (verdict if short else "Every system reaches its published figures, within two standard errors.")


def _significance(session: Session, finals: Finals, titles: Mapping[str, str]) -> list[str]:
    baseline = session.config.baseline
    if baseline not in finals or len(finals) < 2:
        return []
    comparisons = {
        metric: compare_all({n: per_user([r.ranks["test"] for r in g], metric) for n, g in finals.items()}, baseline)
        for metric in METRICS
    }
    rows = [[titles[n], *(interval(comparisons[m][n]) for m in METRICS)] for n in finals if n != baseline]
    return [
        f"## Against {titles[baseline]}",
        "",
        table(["system", *METRICS.values()], rows),
        "",
        f"Difference from {titles[baseline]} on test, 95% interval, and p: paired bootstrap over users and seeds, p "
        f"corrected for {len(rows)} comparisons (Holm).",
        "",
        *(f"- {verdicts(comparisons[m], titles, METRICS[m], baseline)}" for m in METRICS),
        "",
    ]


def _cost(
    session: Session, finals: Finals, titles: Mapping[str, str], costs: Mapping[str, Mapping[str, float]]
) -> list[str]:
    rows, points = [], {}
    for name, group in finals.items():
        seconds, reference = costs[name]["seconds"], costs[name]["reference"]
        best = np.mean([r.metrics["best_epoch"] for r in group])
        points[titles[name]] = (seconds * best, np.mean([r.metrics["test"]["ndcg@3"] for r in group]))
        trained = SYSTEMS[name].task == "train"
        rows.append(
            [
                titles[name],
                f"{seconds * 1e3:.0f}" if trained else "",
                f"{seconds / reference:.2f}" if trained else "",
                f"{best:.0f}" if trained else "",
                f"{seconds * best:.2f}",
            ]
        )
    shown = {title: point for title, point in points.items() if title != SYSTEMS[FAR_BELOW].title}
    plots.trade_off(session.folder / "cost.png", shown, "NDCG@3")
    note = ""
    if "ials" in finals:
        ials = points[titles["ials"]][0]
        note = (
            " Times iALS's: " + ", ".join(f"{t} {s / ials:.0f}" for t, (s, _) in points.items() if s > 2 * ials) + "."
        )
    return [
        "## Cost",
        "",
        table(["system", "ms an epoch", "times uniform's", "epochs to best", "seconds to best"], rows),
        "",
        "An epoch timed in turn with one of uniform sampling in the same process, all cores, validation left out; "
        f"medians of {session.config.cost_rounds}. Seconds to best: that times the mean epoch of the best validation, "
        f"or all of the training of a baseline.{note}",
        "",
        "![quality over cost](cost.png)",
        "",
    ]


def _tuning(session: Session, tuned: Mapping[str, Tuned], titles: Mapping[str, str]) -> list[str]:
    rows = [
        [
            titles[name],
            describe(choice.chosen) or "as the flags say",
            "; ".join(
                f"{describe(option) or 'as the flags say'}: {value:.4f}" for option, value in choice.tried.items()
            ),
        ]
        for name, choice in tuned.items()
        if name in titles and choice.tried
    ]
    seeds = ", ".join(map(str, session.config.tuning_seeds))
    return [
        "## Tuning",
        "",
        f"By validation NDCG@3 on seed {seeds}, as many trials of "
        f"{session.config.tuning_epochs or session.train.max_epochs} epochs for each system.",
        "",
        table(["system", "chosen", "tried"], rows),
        "",
    ]
