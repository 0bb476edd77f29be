"""Figure 5 of the paper: H and G of planted false negatives and of common unobserved items, and how well they tell."""

from collections.abc import Mapping, Sequence

import numpy as np

from gdns_tf.report_page import save_report
from gdns_tf.studies import plots
from gdns_tf.studies.arm import Arm
from gdns_tf.studies.arms import all_of, mean_and_band, run_arms
from gdns_tf.studies.false_negatives import INDICATORS, read
from gdns_tf.studies.markdown import mean_sd, provenance, table
from gdns_tf.studies.session import Session
from gdns_tf.studies.systems import SYSTEMS
from gdns_tf.studies.trial import Result

SYSTEMS_WATCHED = ("gdns", "gdns_without_g")
"""Those that keep H and G."""
MOMENTS = (0.1, 0.5, 1.0)
"""Shares of the training at which the table tells the indicators."""


def run(session: Session) -> None:
    """Trains with one positive of each user moved to the unobserved items, and writes the report."""
    arms = [
        Arm(SYSTEMS[name].title, name, {**SYSTEMS[name].overrides, **session.choice(name)}, "false_negatives")
        for name in SYSTEMS_WATCHED
        if name in session.config.systems
    ]
    results = run_arms(session, arms, "watched runs")
    save_report(session.folder / "report.md", report(session, results))


def report(session: Session, results: Mapping[str, Sequence[Result]]) -> str:
    """`report.md`; draws the plots on the way."""
    watched = {title: [read(r.folder / "indicators.npz") for r in group] for title, group in results.items()}
    first = next(iter(watched))
    epochs = watched[first][0]["epoch"]
    moments = [int(np.abs(epochs - share * epochs[-1]).argmin()) for share in MOMENTS]
    lines, bands = {}, {}
    for title, group in watched.items():
        for name in INDICATORS:
            mean, bands[f"{name}, {title}"] = mean_and_band(np.stack([rows[f"auc_{name}"] for rows in group]))
            lines[f"{name}, {title}"] = (epochs, mean)
    ylabel = "AUC: false negative above common item (mean over seeds; band: sd)"
    plots.curves(session.folder / "auc.png", lines, ylabel, deviations=bands)
    for place, label in ((moments[0], "early"), (moments[-1], "late")):
        plots.densities(
            session.folder / f"densities_{label}.png",
            {
                f"{name} ({first}, epoch {epochs[place]})": tuple(
                    sum(rows[f"histogram_{name}_{group}"][place] for rows in watched[first])
                    for group in ("false", "common")
                )
                for name in ("H", "G")
            },
        )
    rows = []
    for title, group in watched.items():
        for at in moments:
            row = [title, epochs[at], f"{np.mean([r['visited'][at] for r in group]):.0%}"]
            for name in ("H", "G"):
                row += [mean_sd([r[f"mean_{name}_{who}"][at] for r in group]) for who in ("false", "common")]
            row += [mean_sd([r[f"auc_{name}"][at] for r in group]) for name in INDICATORS]
            row += [mean_sd([r[f"auc_within_{name}"][at] for r in group]) for name in ("H", "G")]
            rows.append(row)
    header = ["sampler", "epoch", "visited", "H, false", "H, common", "G, false", "G, common"]
    header += [f"AUC of {name}" for name in INDICATORS] + ["AUC of H, within users", "AUC of G, within users"]
    at = moments[-1]
    h, g = (np.array([rows[f"auc_{name}"][at] for rows in watched[first]]) for name in ("H", "G"))
    return "\n".join(
        [
            f"# False negatives on {session.data.dataset} (section 4.6, Figure 5)",
            "",
            "One random training item of each user was moved to the unobserved items: a false negative that is known. "
            "An AUC above one half means that false negatives have higher values than common unobserved items; the "
            "paper holds that their H is higher and their G lower. Only pairs that training has chosen as negatives by "
            "then (`visited`, of the false negatives) have an H and a G.",
            "",
            table(header, rows),
            "",
            f"- H higher for false negatives ({first}, at the end): {_verdict(h > 0.5)} (AUC {mean_sd(h)}).",
            f"- G lower for false negatives ({first}, at the end): {_verdict(g < 0.5)} (AUC {mean_sd(g)}).",
            "",
            "![densities early in training](densities_early.png)",
            "",
            "![densities at the end](densities_late.png)",
            "",
            "![AUC by epoch](auc.png)",
            "",
            provenance(session, all_of(results), session.config.seeds),
        ]
    )


def _verdict(holds: np.ndarray) -> str:
    """In how many of the seeds."""
    return f"holds in {int(holds.sum())} of {len(holds)} seeds"
