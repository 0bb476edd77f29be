"""An evaluation with its confidence intervals and, beside another model, its paired tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gdns_tf.evaluation.model import Model
from gdns_tf.evaluation.ranking import Report, evaluate
from gdns_tf.evaluation.significance import PairedTest, bootstrap_intervals, paired_tests
from gdns_tf.models.factors import Factors
from pipelines.split import Split

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Comparison:
    """How well a model ranks, and how that differs from another."""

    report: Report
    means: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    """Metric -> ends of the bootstrap confidence interval over users; empty if not asked for."""
    other: dict[str, float]
    """The other model's means; empty where there is none."""
    tests: dict[str, PairedTest]
    """Metric -> this model less the other, user by user."""


def evaluate_with_tests(
    factors: Factors,
    split: Split,
    other: Model | None = None,
    *,
    held_out: str = "test",
    protocol: str = "sampled",
    ties: str = "pessimistic",
    ks: Sequence[int] = (1, 3, 10),
    resamples: int = 1000,
) -> Comparison:
    """Ranks the held-out items by one model or two; arguments as of `gdns_tf.evaluation.ranking.evaluate`.

    Args:
      factors: the model.
      split: the data.
      other: a model to test the difference from.
      held_out: "valid" or "test".
      protocol, ties, ks: how to rank.
      resamples: of the users for the intervals; 0: no intervals.
    """
    reports = [evaluate(m, split, held_out, protocol, ties, ks) for m in (factors, other) if m is not None]
    per_user = reports[0].per_user()
    return Comparison(
        reports[0],
        reports[0].means(),
        bootstrap_intervals(per_user, resamples, CONFIDENCE) if resamples else {},
        reports[1].means() if other is not None else {},
        paired_tests(per_user, reports[1].per_user(), confidence=CONFIDENCE) if other is not None else {},
    )


def as_json(
    comparison: Comparison, split: Split, model: str, other: str = "", options: Mapping[str, float] | None = None
) -> dict:
    """All of it as an object for JSON.

    Args:
      comparison: the evaluation.
      split: the data.
      model: its name.
      other: that of the other model.
      options: what the other model was fitted with, where it is a baseline that has any.
    """
    report = comparison.report
    summary = {
        "model": model,
        "dataset": split.name,
        "data_fingerprint": split.fingerprint,
        "num_users": split.train.num_users,
        "num_items": split.train.num_items,
        "split": report.split,
        "protocol": report.protocol,
        "ties": report.ties,
        "metrics": comparison.means,
    }
    if comparison.intervals:
        summary |= {"confidence": CONFIDENCE, "intervals": comparison.intervals}
    if comparison.tests:
        tests = comparison.tests
        summary["comparison"] = {
            "model": other,
            **({"options": dict(options)} if options else {}),
            "metrics": comparison.other,
            "differences": {name: test.difference for name, test in tests.items()},
            "intervals": {name: (test.low, test.high) for name, test in tests.items()},
            "p_values": {name: test.p_value for name, test in tests.items()},
        }
    return summary


def format_table(summary: dict) -> str:
    """What `as_json` gives, for people."""
    lines = [
        f"Model     {summary['model']}",
        f"Data      {summary['dataset']}: {summary['num_users']:,} users, {summary['num_items']:,} items, "
        f"fingerprint {summary['data_fingerprint']}",
        f"Protocol  {summary['split']} items, {summary['protocol']}, {summary['ties']} about ties",
        "",
    ]
    interval = f"{CONFIDENCE:.0%} interval"
    intervals = summary.get("intervals")
    lines.append(f"{'':10}{'mean':>8}" + (f"  {interval:>18}" if intervals else ""))
    for name, value in summary["metrics"].items():
        lines.append(f"{name:10}{value:8.4f}" + (f"  {_ends(intervals[name])}" if intervals else ""))
    if comparison := summary.get("comparison"):
        options = comparison.get("options")
        untuned = f" (untuned: {format_options(options)})" if options else ""
        lines += ["", f"Compared with {comparison['model']}{untuned}, user by user (sign-flip test):"]
        lines.append(f"{'':10}{'other':>8}{'difference':>12}  {interval:>18}{'p':>8}")
        for name, other in comparison["metrics"].items():
            ends, p_value = _ends(comparison["intervals"][name]), comparison["p_values"][name]
            lines.append(f"{name:10}{other:8.4f}{comparison['differences'][name]:+12.4f}  {ends}{p_value:8.4f}")
    return "\n".join(lines)


def format_options(options: Mapping[str, float]) -> str:
    """Such as "dim=32, seed=0"."""
    return ", ".join(f"{name}={value:g}" for name, value in options.items())


def _ends(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:7.4f}, {ends[1]:7.4f}]"
