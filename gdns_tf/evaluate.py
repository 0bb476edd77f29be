"""Evaluates a trained model, and compares it with another.

    python -m gdns_tf.evaluate --run_dir=RUN
    python -m gdns_tf.evaluate --weights=FILE.npz --dataset=srns --data_dir=FOLDER

A run brings its data flags along; flags on the command line win over them. The last line of standard output is one JSON
object with everything that the table above it shows.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from absl import app
from absl import flags as absl_flags

from gdns_tf.evaluation.ranking import PROTOCOLS, SPLITS, TIES, Report, check_fits, evaluate, without_padding
from gdns_tf.evaluation.significance import bootstrap_intervals, paired_tests
from gdns_tf.flags import define, from_flags, read_config
from gdns_tf.models.factors import Weights
from gdns_tf.runs.run_folder import RunFolder
from pipelines.config import DataConfig, flag
from pipelines.errors import InputError
from pipelines.load import load_dataset
from pipelines.split import Split

CONFIDENCE = 0.95


@dataclass(frozen=True)
class EvaluateConfig:
    """What to evaluate, and how."""

    run_dir: str = flag("", "Folder of a training run: its weights, on its data.")
    weights: str = flag("", "Instead of --run_dir: an .npz file with P, Q and w; give the data flags too.")
    compare: str = flag("", "Folder of another run, or another .npz file, to test the difference from.")
    split: str = flag("test", "Which held-out items to rank.", SPLITS)
    protocol: str = flag(
        "sampled", "sampled: against 100 fixed negatives; full: against all items that the user has not.", PROTOCOLS
    )
    ties: str = flag(
        "pessimistic",
        "pessimistic: equal scores stand above the held-out item; optimistic: below it, as in SRNS.",
        TIES,
    )
    k: tuple[int, ...] = flag((1, 3, 10), "Lengths of the list for NDCG@K, Recall@K and HR@K.")
    bootstrap: int = flag(1000, "Resamples of the users for the confidence intervals; 0: no intervals.")

    def __post_init__(self) -> None:
        """Raises InputError, naming the flag, for values that cannot work."""
        if bool(self.run_dir) == bool(self.weights):
            raise InputError("give either --run_dir or --weights", remedy="See --help.")
        if not self.k or min(self.k) < 1:
            raise InputError(f"--k={','.join(map(str, self.k))} must list one or more numbers, each at least 1")
        if self.bootstrap < 0:
            raise InputError(f"--bootstrap={self.bootstrap} must not be negative")


def load_model(path: str, dataset: Split) -> Weights:
    """The weights in the folder of a run, or in an `.npz` file, for a data set.

    Raises:
      InputError: there are none, they are of another shape, or the run was trained on other data.
    """
    if Path(path).is_dir():
        folder = RunFolder(path)
        _check_same_data(folder, dataset)
        if not folder.weights.exists():
            raise InputError(
                f"the folder has no {folder.weights.name}",
                path=path,
                remedy="Training writes it when it ends: start it again with the same flags to go on.",
            )
        weights = Weights.load(folder.weights)
    else:
        weights = Weights.load(path)
    trimmed = without_padding(weights, dataset.train.num_items)
    if trimmed is not weights:
        count = weights.num_items - trimmed.num_items
        print(f"{path}: left out {count} row(s) of zeros after the last item of Q.", file=sys.stderr)
    try:
        check_fits(trimmed, dataset)
    except InputError as error:
        raise InputError(str(error).removesuffix("."), path=path) from None
    return trimmed


def _data_of(run_dir: str) -> DataConfig | None:
    """The data flags of a run; None where there is no run."""
    if not run_dir:
        return None
    flags = RunFolder(run_dir).flags
    if not flags.exists():
        raise InputError(f"there is no {flags.name}", path=run_dir, remedy="Give the --output_dir of a training run.")
    return read_config(flags, DataConfig)


def _check_same_data(folder: RunFolder, dataset: Split) -> None:
    """Raises InputError if the run says that it was trained on other data; a run that has not ended says nothing."""
    if not folder.metrics.exists():
        return
    try:
        fingerprint = json.loads(folder.metrics.read_text()).get("data_fingerprint")
    except (ValueError, AttributeError):
        raise InputError("this is not the JSON object that training writes", path=folder.metrics) from None
    if fingerprint not in (None, dataset.fingerprint):
        raise InputError(
            f"the run was trained on data with fingerprint {fingerprint}, but this data has {dataset.fingerprint}",
            path=folder.path,
            remedy="Give the data flags of the run, and the same files.",
        )


def summarise(config: EvaluateConfig, dataset: Split, report: Report, other: Report | None) -> dict:
    """What the table shows and the JSON line holds: metrics, intervals, and the comparison if there is one."""
    summary = {
        "model": config.run_dir or config.weights,
        "dataset": dataset.name,
        "data_fingerprint": dataset.fingerprint,
        "num_users": dataset.train.num_users,
        "num_items": dataset.train.num_items,
        "split": report.split,
        "protocol": report.protocol,
        "ties": report.ties,
        "metrics": report.means(),
    }
    if config.bootstrap:
        summary["confidence"] = CONFIDENCE
        summary["intervals"] = bootstrap_intervals(report.per_user(), config.bootstrap, CONFIDENCE)
    if other is not None:
        tests = paired_tests(report.per_user(), other.per_user(), confidence=CONFIDENCE)
        summary["comparison"] = {
            "model": config.compare,
            "metrics": other.means(),
            "differences": {name: test.difference for name, test in tests.items()},
            "intervals": {name: (test.low, test.high) for name, test in tests.items()},
            "p_values": {name: test.p_value for name, test in tests.items()},
        }
    return summary


def format_table(summary: dict) -> str:
    """The summary for people."""
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
        lines.append(f"{name:10}{value:8.4f}" + (f"  {_format_interval(intervals[name])}" if intervals else ""))
    if comparison := summary.get("comparison"):
        lines += ["", f"Compared with {comparison['model']}, user by user (sign-flip test):"]
        lines.append(f"{'':10}{'other':>8}{'difference':>12}  {interval:>18}{'p':>8}")
        for name, other in comparison["metrics"].items():
            ends, p_value = _format_interval(comparison["intervals"][name]), comparison["p_values"][name]
            lines.append(f"{name:10}{other:8.4f}{comparison['differences'][name]:+12.4f}  {ends}{p_value:8.4f}")
    return "\n".join(lines)


def _format_interval(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:7.4f}, {ends[1]:7.4f}]"


def main(argv: list[str], flag_values: absl_flags.FlagValues = absl_flags.FLAGS) -> int:
    """Evaluates as the flags say; returns the exit status."""
    try:
        if len(argv) > 1:
            raise InputError(f"{argv[1]!r} is no flag", remedy="Flags begin with --.")
        config = from_flags(EvaluateConfig, flag_values=flag_values)
        dataset = load_dataset(from_flags(DataConfig, _data_of(config.run_dir), flag_values))
        reports = [
            evaluate(load_model(path, dataset), dataset, config.split, config.protocol, config.ties, config.k)
            for path in (config.run_dir or config.weights, config.compare)
            if path
        ]
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    summary = summarise(config, dataset, reports[0], reports[1] if config.compare else None)
    print(format_table(summary), end="\n\n")
    print(json.dumps(summary, allow_nan=False))
    return 0


def run() -> None:
    """The entry point of the command line."""
    define(EvaluateConfig)
    define(DataConfig)
    app.run(main)


if __name__ == "__main__":
    run()
