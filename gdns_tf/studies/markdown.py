"""Tables and sentences of a report."""

import os
import platform
from collections.abc import Mapping, Sequence

import numpy as np

import gdns_tf
from gdns_tf.evaluation.selection import SelectionMetric
from gdns_tf.evaluation.significance import PairedTest
from gdns_tf.flags import replayable
from gdns_tf.markdown import table as table
from gdns_tf.studies.session import Session
from gdns_tf.studies.trial import Result
from gdns_tf.training.config import TrainConfig


def mean_sd(values: Sequence[float]) -> str:
    """Mean and standard deviation over seeds."""
    values = np.asarray(values, float)
    return f"{values.mean():.4f}" + (f" ± {values.std(ddof=1):.4f}" if len(values) > 1 else "")


def metric_title(name: str) -> str:
    """A metric as tables have it: "ndcg@3" as "NDCG@3", "full_recall@20" as "full Recall@20"."""
    metric = SelectionMetric(name)
    kind, at, k = metric.bare.partition("@")
    return ("full " if metric.protocol == "full" else "") + {"recall": "Recall"}.get(kind, kind.upper()) + at + k


def p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def interval(c: PairedTest) -> str:
    return f"{c.difference:+.4f} [{c.low:+.4f}, {c.high:+.4f}], {p_text(c.adjusted)}"


def verdicts(comparisons: Mapping[str, PairedTest], titles: Mapping[str, str], metric: str, baseline: str) -> str:
    """A sentence on which systems differ significantly (5%, corrected) from the baseline, and which do not."""
    better = [titles[n] for n, c in comparisons.items() if c.adjusted < 0.05 and c.difference > 0]
    worse = [titles[n] for n, c in comparisons.items() if c.adjusted < 0.05 and c.difference < 0]
    open_ = [titles[n] for n, c in comparisons.items() if c.adjusted >= 0.05]
    parts = [
        f"significantly {word} than {titles[baseline]}: {', '.join(names) or 'none'}"
        for word, names in (("worse", worse), ("better", better))
    ]
    return f"{metric}: " + "; ".join([*parts, f"not significantly different: {', '.join(open_) or 'none'}"]) + "."


def provenance(session: Session, results: Sequence[Result], seeds: Sequence[int]) -> str:
    """What was run, on what: enough to repeat it."""
    fingerprints = sorted({result.metrics["data_fingerprint"] for result in results})
    statistics = next((r.metrics["dataset"] for r in results if "dataset" in r.metrics), {})
    versions = next((r.metrics["versions"] for r in results if "versions" in r.metrics), {})
    return "\n".join(
        [
            "## How it was made",
            "",
            f"    {session.command}",
            "",
            f"- Data: `{session.data.dataset}`, {', '.join(f'{k} {v:,}' for k, v in statistics.items())}; fingerprint "
            f"{', '.join(f'`{f}`' for f in fingerprints)}.",
            f"- Seeds {', '.join(map(str, seeds))}; {session.train.max_epochs} epochs for every trained system, a "
            f"validation every {session.train.eval_every}, the epoch with the best validation "
            f"{metric_title(session.train.select)} kept.",
            "- Held-out items ranked against 100 fixed negatives; a tie counts against the held-out item.",
            f"- Shared flags that differ from the defaults: `{' '.join(_changed(session)) or 'none'}`.",
            f"- gdns_tf {gdns_tf.__version__}, TensorFlow {versions.get('tensorflow', '?')}, NumPy "
            f"{versions.get('numpy', '?')}, Python {platform.python_version()}, {os.cpu_count()} cores, "
            f"{session.config.workers} worker(s).",
        ]
    )


def _changed(session: Session) -> list[str]:
    default = set(replayable([TrainConfig.defaults_for({"objective": session.train.objective})]).splitlines())
    return [line for line in replayable([session.train]).splitlines() if line not in default and _tells(line)]


def _tells(line: str) -> bool:
    silent = ("#", "--output_dir", "--seed", "--sampler=", "--tensorboard", "--notensorboard", "--checkpoint_minutes")
    return not line.startswith(silent)
