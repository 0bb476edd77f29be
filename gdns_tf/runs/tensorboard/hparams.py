"""The HParams tab: a row for each run, with what tells runs apart and what came of the weights that were kept."""

import hashlib
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath

from tensorboard.plugins.hparams import api_pb2, summary
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from gdns_tf.runs.repeating import changed_settings, has_effect
from gdns_tf.runs.tensorboard import tags
from gdns_tf.runs.tensorboard.events import Message
from gdns_tf.training.config import TrainConfig
from pipelines.paths import is_remote

_TEXT, _NUMBER = api_pb2.DATA_TYPE_STRING, api_pb2.DATA_TYPE_FLOAT64
COLUMNS = {
    "dataset": _TEXT,
    "objective": _TEXT,
    "scorer": _TEXT,
    "sampler": _TEXT,
    "dim": _NUMBER,
    "learning_rate": _NUMBER,
    "l2": _NUMBER,
    "user_l2": _NUMBER,
    "dropout": _NUMBER,
    "history_dropout": _NUMBER,
    "history_power": _NUMBER,
    "group_size": _NUMBER,
    "num_candidates": _NUMBER,
    "seed": _NUMBER,
    "other settings": _TEXT,
}
"""Of the table. Every run names all of them, for TensorBoard takes the columns of one run for all.

Texts have no list of values: TensorBoard would hide a row whose value is not on the list of that one run, such as a
sampler of another package.
"""
FIRST = ("dataset", "dim", "objective", "other settings", "sampler")
"""The columns of settings that are shown unasked, which are five."""
METRICS = ("ndcg@3", "ndcg@10", "recall@10")
"""Whose kept figures have columns, beside the one that the weights are chosen by."""


def experiment_summary(select: str, first: Collection[str] = FIRST) -> Message:
    """The table's columns.

    Args:
      select: the metric that weights are chosen by. Its columns come first: five are shown unasked.
      first: settings whose columns come first, in alphabetical order as TensorBoard has it.
    """

    def column(tag: str, title: str, told: str) -> api_pb2.MetricInfo:
        return api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=title, description=told)

    def kept(held_out: str, metric: str) -> api_pb2.MetricInfo:
        told = f"Of the weights that were kept, on the {'validation' if held_out == 'valid' else held_out} items."
        return column(tags.kept(f"{held_out}_{metric}"), f"{held_out} {tags.title(metric)}", told)

    metrics = [
        kept("valid", select),
        column(tags.of_popularity(select), f"popularity's valid {tags.title(select)}", "Of the most popular items."),
        kept("test", select),
        column(tags.kept("epoch"), "epoch kept", "After how many epochs the weights were best."),
        column(tags.kept("seconds"), "seconds", "Of training, all epochs."),
        *(kept(held_out, metric) for metric in METRICS if metric != select for held_out in ("valid", "test")),
    ]
    # TensorBoard puts settings that differ between runs first, and leaves it to its runs to say which do.
    settings = [api_pb2.HParamInfo(name=name, type=kind, differs=name in first) for name, kind in COLUMNS.items()]
    return summary.experiment_pb(
        settings, metrics, description="Figures are those of the weights that were kept, not of the last epoch."
    )


def session_summary(output_dir: str, settings: Mapping[str, object]) -> Message:
    """A run's row.

    Args:
      output_dir: the folder of the run, whose name the row has; four digits keep it apart from others of the same name,
        of which TensorBoard would make one row, with the means of their figures.
      settings: by column.
    """
    path = PurePosixPath(output_dir if is_remote(output_dir) else os.path.abspath(output_dir))
    digits = hashlib.sha256(str(path).encode()).hexdigest()[:4]
    name = f"{path.parents[1].name}/{path.name}" if path.name.isdigit() else path.name  # of the trials of a search
    return summary.session_start_pb(dict(settings), group_name=f"{name} {digits}")


def row_of(dataset: str, config: TrainConfig) -> dict[str, object]:
    """A run's settings by column; those without effect on it have none."""
    settings = {"dataset": dataset} | config.settings()
    row = {name: settings[name] for name in COLUMNS if name in settings and has_effect(name, config)}
    rest = {name: value for name, value in changed_settings(config).items() if name not in COLUMNS}
    return row | {"other settings": ", ".join(f"{name}={value}" for name, value in rest.items()) or "as they come"}


def kept_summaries(metrics: Mapping[str, object], select: str) -> Iterable[Message]:
    """The figures of a finished run.

    Args:
      metrics: what its `metrics.json` holds.
      select: the metric that its weights were chosen by.
    """
    for held_out in ("valid", "test"):
        found = metrics.get(held_out, {})
        for name in dict.fromkeys([select, *METRICS]):
            if name in found:
                yield scalar_pb(tags.kept(f"{held_out}_{name}"), found[name], "Of the weights that were kept.")
    yield scalar_pb(tags.kept("epoch"), metrics["best_epoch"], "After which the weights were best.")
    yield scalar_pb(tags.kept("seconds"), metrics["seconds"], "Of training.")
    yield summary.session_end_pb(api_pb2.STATUS_SUCCESS)
