"""What it costs to bound the gain table, and to round its numbers: GDNS with tables of several sizes."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from gdns_tf.report_page import save_report
from gdns_tf.samplers.gain_table_config import CELLS
from gdns_tf.studies.arm import Arm
from gdns_tf.studies.arms import all_of, run_arms, users_of
from gdns_tf.studies.comparison import compare_all
from gdns_tf.studies.held_pairs import read_held_pairs
from gdns_tf.studies.markdown import interval, mean_sd, provenance, table, verdicts
from gdns_tf.studies.session import SELECTION, Session
from gdns_tf.studies.trial import Result
from pipelines.errors import require
from pipelines.load import load_dataset

SHARES = ("1/2", "1/4", "1/8", "1/16")
TASK = "held_pairs"
_EXACT = "all, float32"


def run(session: Session) -> None:
    """Trains with each table and writes the report."""
    results = run_arms(session, arms(session), "gain tables")
    save_report(session.folder / "report.md", report(session, results))


def arms(session: Session) -> list[Arm]:
    """A dense table of each kind of cells, and bounded ones by the share of the items that a user has slots for."""
    num_items = load_dataset(session.data).train.num_items
    dense = [
        Arm(f"all, {cells}", f"dense-{cells}", {"gain_table": "dense", "gain_cells": cells}, TASK) for cells in CELLS
    ]
    bounded = []
    for share in session.config.values or SHARES:
        slots = round(_fraction(share) * num_items)
        overrides = {"gain_table": "bounded", "gain_slots": slots}
        bounded.append(Arm(f"{share}, float32", f"bounded-{slots}", overrides, TASK))
        ways = overrides | {"gain_ways": 4}
        bounded.append(Arm(f"{share}, float32, sets of 4", f"sets-{slots}", ways, TASK))
    return [*dense, *bounded]


def _fraction(text: str) -> Fraction:
    try:
        fraction = Fraction(text)
    except (ValueError, ZeroDivisionError):
        fraction = Fraction(0)
    require(0 < fraction <= 1, "values", text, "must be a fraction of the items, such as 1/4")
    return fraction


def report(session: Session, results: Mapping[str, Sequence[Result]]) -> str:
    """`report.md`."""
    compared = compare_all(users_of(results, SELECTION), _EXACT)
    held = {title: np.array([read_held_pairs(r.folder) for r in group]) for title, group in results.items()}
    rows = [
        [
            title,
            f"{_megabytes(group[0]):.0f}",
            mean_sd([r.metrics["valid"][SELECTION] for r in group]),
            mean_sd([r.metrics["test"][SELECTION] for r in group]),
            interval(compared[title]) if title in compared else "",
            f"{np.mean(1 - held[title] / held[_EXACT]):.1%}",
            f"{1e3 * np.mean([r.metrics['seconds_per_epoch'] for r in group]):.0f}",
        ]
        for title, group in results.items()
    ]
    header = ["slots of the items, cells", "MB", "validation NDCG@3", "test NDCG@3", f"test less {_EXACT}'s"]
    titles = {title: title for title in results}
    return "\n".join(
        [
            f"# Gain tables on {session.data.dataset}",
            "",
            table([*header, "forgotten", "ms an epoch"], rows),
            "",
            "Mean ± standard deviation over seeds. Forgotten: of the pairs that the exact table holds after the last "
            "epoch, all that were ever written, the share by which this one holds fewer. Candidates are drawn "
            "uniformly, so that this is about the chance that a pair which was written reads as never visited. 95% "
            f"intervals and p: paired bootstrap over users and seeds, p corrected for {len(compared)} comparisons "
            "(Holm). Milliseconds are those of training, whatever else the machine did.",
            "",
            f"- {verdicts(compared, titles, 'NDCG@3', _EXACT)}",
            "",
            provenance(session, all_of(results), session.config.seeds),
        ]
    )


def _megabytes(result: Result) -> float:
    """Of the table."""
    sizes = result.metrics["dataset"]
    return result.trial.config.sampler_config.table_bytes(sizes["#User"], sizes["#Item"]) / 1e6
