"""All that is told of a model: how well it ranks, with confidence intervals and, beside another model, paired tests;
whom it serves how well; and what it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gdns_tf.evaluation.beyond_accuracy import beyond_accuracy_of, list_users
from gdns_tf.evaluation.model import Model
from gdns_tf.evaluation.ranking import Report, evaluate
from gdns_tf.evaluation.significance import PairedTest, bootstrap_intervals, paired_tests
from gdns_tf.evaluation.user_groups import UserGroup, by_activity
from pipelines.sample import Sample
from pipelines.split import Split

CONFIDENCE = 0.95
_MEANINGS = {
    "coverage": "share of the catalogue that is in any list",
    "gini": "0 where all items are shown alike often, near 1 where few take all places",
    "novelty": "bits: how rare what is shown is",
    "popularity": "mean share of users who have what is shown",
    "similarity": "mean cosine of two items of a list, by who has them",
}


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
    groups: list[UserGroup]
    """How well users are served by how many training interactions they have."""
    shown: dict[str, float]
    """What `beyond_accuracy` says of the model's lists, as long as the longest of `ks`."""
    other_shown: dict[str, float]
    """Of the other's; empty where there is none."""


def evaluate_with_tests(
    model: Model,
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
      model: by factors or by weights between items.
      split: the data.
      other: a model to test the difference from.
      held_out: "valid" or "test".
      protocol, ties, ks: how to rank.
      resamples: of the users for the intervals; 0: no intervals.
    """
    models = [m for m in (model, other) if m is not None]
    reports = [evaluate(m, split, held_out, protocol, ties, ks) for m in models]
    per_user, *of_other = [report.per_user() for report in reports]
    counts = split.train.counts[reports[0].users]
    shown = [beyond_accuracy_of(m, split, held_out, max(ks)) for m in models]
    return Comparison(
        reports[0],
        reports[0].means(),
        bootstrap_intervals(per_user, resamples, CONFIDENCE) if resamples else {},
        reports[1].means() if of_other else {},
        paired_tests(per_user, *of_other, confidence=CONFIDENCE) if of_other else {},
        by_activity(counts, per_user, *of_other, resamples=resamples, confidence=CONFIDENCE),
        shown[0],
        shown[1] if of_other else {},
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
        "num_evaluated": len(report.users),
        **({"sample": True} if isinstance(split, Sample) else {}),
        "num_held_out": len(report.ranks.places),
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
    summary["groups"] = [
        {
            "group": group.name,
            "users": group.users,
            "interactions": (group.fewest, group.most),
            "metrics": group.means,
            **({"intervals": group.intervals} if group.intervals else {}),
            **({"comparison": group.other} if group.other else {}),
        }
        for group in comparison.groups
    ]
    summary["beyond_accuracy"] = {"num_lists": len(list_users(split, report.split)), "metrics": comparison.shown}
    if comparison.other_shown:
        summary["beyond_accuracy"]["comparison"] = comparison.other_shown
    return summary


def format_table(summary: dict) -> str:
    """What `as_json` gives, for people."""
    lines = [
        f"Model     {summary['model']}",
        f"Data      {summary['dataset']}: {summary['num_users']:,} users, {summary['num_items']:,} items, "
        f"fingerprint {summary['data_fingerprint']}",
        f"Protocol  {summary['num_held_out']:,} {summary['split']} items of {summary['num_evaluated']:,} users"
        f"{' (a sample, not all)' if summary.get('sample') else ''}, "
        f"{summary['protocol']}, {summary['ties']} about ties",
        "",
    ]
    interval = f"{CONFIDENCE:.0%} interval"
    intervals = summary.get("intervals")
    width = max(10, *(len(name) + 1 for name in summary["metrics"]))
    lines.append(f"{'':{width}}{'mean':>8}" + (f"  {interval:>18}" if intervals else ""))
    for name, value in summary["metrics"].items():
        lines.append(f"{name:{width}}{value:8.4f}" + (f"  {_ends(intervals[name])}" if intervals else ""))
    if comparison := summary.get("comparison"):
        options = comparison.get("options")
        untuned = f" (untuned: {format_options(options)})" if options else ""
        lines += ["", f"Compared with {comparison['model']}{untuned}, user by user (sign-flip test):"]
        lines.append(f"{'':{width}}{'other':>8}{'difference':>12}  {interval:>18}{'p':>8}")
        for name, other in comparison["metrics"].items():
            ends, p_value = _ends(comparison["intervals"][name]), comparison["p_values"][name]
            lines.append(f"{name:{width}}{other:8.4f}{comparison['differences'][name]:+12.4f}  {ends}{p_value:8.4f}")
    return "\n".join([*lines, "", *_group_lines(summary["groups"]), "", *_shown_lines(summary["beyond_accuracy"])])


def _group_lines(groups: Sequence[dict]) -> list[str]:
    """NDCG and recall of the longest list."""
    longest = max(int(k) for name in groups[0]["metrics"] if (k := name.partition("@")[2]))
    metrics = [f"ndcg@{longest}", f"recall@{longest}"]
    header = f"{'':10}{'users':>9}{'interactions':>16}"
    for name in metrics:
        header += f"{name:>12}" + (f"  {f'{CONFIDENCE:.0%} interval':>18}" if "intervals" in groups[0] else "")
        header += f"{'other':>8}" if "comparison" in groups[0] else ""
    lines = ["By the user's training interactions, about a third of the users each:", header]
    for group in groups:
        fewest, most = group["interactions"]
        line = f"{group['group']:10}{group['users']:9,}{f'{fewest:,} to {most:,}':>16}"
        for name in metrics:
            line += f"{group['metrics'][name]:12.4f}"
            line += f"  {_ends(group['intervals'][name])}" if "intervals" in group else ""
            line += f"{group['comparison'][name]:8.4f}" if "comparison" in group else ""
        lines.append(line)
    return lines


def _shown_lines(shown: dict) -> list[str]:
    lines = [f"What is shown, in the lists of {shown['num_lists']:,} users:"]
    other = shown.get("comparison", {})
    if other:
        lines.append(f"{'':16}{'mean':>8}{'other':>8}")
    for name, value in shown["metrics"].items():
        note = f"  {_MEANINGS[name.partition('@')[0]]}"
        lines.append(f"{name:16}{value:8.4f}" + (f"{other[name]:8.4f}" if other else "") + note)
    return lines


def format_options(options: Mapping[str, float]) -> str:
    """Such as "dim=32, seed=0"."""
    return ", ".join(f"{name}={value:g}" for name, value in options.items())


def _ends(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:7.4f}, {ends[1]:7.4f}]"
