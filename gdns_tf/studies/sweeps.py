"""One hyper-parameter at several values: Figure 6 (group size), Figure 7 (smoothing), and M."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gdns_tf.report_page import save_report
from gdns_tf.studies import plots
from gdns_tf.studies.arm import Arm
from gdns_tf.studies.arms import all_of, run_arms, users_of
from gdns_tf.studies.comparison import compare_all
from gdns_tf.studies.markdown import interval, mean_sd, provenance, table, verdicts
from gdns_tf.studies.session import METRICS, SELECTION, Session, overrides_of
from gdns_tf.studies.trial import Result


@dataclass(frozen=True)
class Sweep:
    """A study of one setting; called with a session, it trains at each value and writes the report."""

    setting: str
    axis: str
    """Its name in the report."""
    values: tuple[str, ...]
    """Those of the paper, or ours, where it gives none."""

    def __call__(self, session: Session) -> None:
        tuned = session.train.with_settings(**session.choice(session.train.sampler))
        session = replace(session, train=tuned)
        values = session.config.values or self.values
        arms = [Arm(value, session.train.sampler, self._overrides(session, value)) for value in values]
        results = run_arms(session, arms, f"values of {self.setting}")
        save_report(session.folder / "report.md", report(session, results, self.axis.format(ratio=_ratio(session))))

    def _overrides(self, session: Session, value: str) -> dict[str, object]:
        """The setting, and what must go with it: candidates keep their ratio to the group."""
        overrides = overrides_of(f"{self.setting}={value}")
        if self.setting == "group_size":
            overrides["num_candidates"] = round(_ratio(session) * overrides["group_size"])
        return overrides


group_size = Sweep("group_size", "group size N (M = {ratio:g} N)", ("4", "8", "16", "32", "64", "128"))
smoothing = Sweep("smoothing", "smoothing alpha", tuple(f"{x / 10:g}" for x in range(11)))
candidates = Sweep("num_candidates", "candidates M", ("32", "40", "48", "64", "96", "128", "256"))


def _ratio(session: Session) -> float:
    return session.train.num_candidates / session.train.group_size


def report(session: Session, results: Mapping[str, Sequence[Result]], axis: str) -> str:
    """`report.md`; draws the plot on the way."""
    test = {m: np.array([[r.metrics["test"][m] for r in g] for g in results.values()]) for m in METRICS}
    plots.sweep(session.folder / "sweep.png", list(results), {f"test {METRICS[m]}": v for m, v in test.items()}, axis)
    rows = [
        [
            value,
            *(mean_sd([r.metrics["test"][m] for r in group]) for m in METRICS),
            mean_sd([r.metrics["valid"][SELECTION] for r in group]),
            f"{np.mean([r.metrics['best_epoch'] for r in group]):.0f}",
            f"{1e3 * np.mean([r.metrics['seconds_per_epoch'] for r in group]):.0f}",
        ]
        for value, group in results.items()
    ]
    best = max(results, key=lambda value: np.mean([r.metrics["valid"][SELECTION] for r in results[value]]))
    comparisons = {m: compare_all(users_of(results, m), best) for m in METRICS}
    titles = {value: value for value in results}
    others = [value for value in results if value != best]
    return "\n".join(
        [
            f"# {axis[0].upper()}{axis[1:]} on {session.data.dataset}",
            "",
            "![test metrics by value](sweep.png)",
            "",
            table([axis, *METRICS.values(), "validation NDCG@3", "best epoch", "ms an epoch"], rows),
            "",
            "Test, mean ± standard deviation over seeds; milliseconds are those of training with "
            f"{session.config.workers} worker(s) on the machine.",
            "",
            f"Best on validation: {best}. The others against it on test:",
            "",
            table(
                [axis, *METRICS.values()],
                [[value, *(interval(comparisons[m][value]) for m in METRICS)] for value in others],
            ),
            "",
            f"95% intervals and p: paired bootstrap over users and seeds, p corrected for {len(others)} comparisons "
            "(Holm).",
            "",
            *(f"- {verdicts(c, titles, METRICS[m], best)}" for m, c in comparisons.items()),
            "",
            provenance(session, all_of(results), session.config.seeds),
        ]
    )
