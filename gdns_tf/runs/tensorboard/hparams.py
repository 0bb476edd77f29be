"""The HParams tab: a row for each run, with what tells runs apart and what came of the weights that were kept."""

from collections.abc import Iterable, Mapping

from tensorboard.plugins.hparams import api_pb2, summary
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from gdns_tf.runs.repeating import changed_settings, has_effect
from gdns_tf.runs.tensorboard import tags
from gdns_tf.runs.tensorboard.events import Message
from gdns_tf.training.config import TrainConfig

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
"""Of the table, in order. Every run names all of them, for TensorBoard takes the columns of one run for all.

Texts have no list of values: TensorBoard would hide a row whose value is not on the list of that one run, such as a
sampler of another package.
"""
METRICS = ("ndcg@3", "ndcg@10", "recall@10")
"""Whose kept figures have columns, beside the one that the weights are chosen by."""


def experiment_summary(select: str) -> Message:
    """The table's columns."""
    metrics = [
        api_pb2.MetricInfo(
            name=api_pb2.MetricName(tag=tags.kept(f"{held_out}_{metric}")),
            display_name=f"{held_out} {tags.title(metric)}",
            description=f"Of the weights that were kept, on the {name} items.",
            dataset_type=api_pb2.DATASET_VALIDATION,
        )
        for metric in dict.fromkeys([select, *METRICS])
        for held_out, name in (("valid", "validation"), ("test", "test"))
    ]
    metrics += [
        api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tags.kept(tag)), display_name=title, description=told)
        for tag, title, told in (
            ("epoch", "epoch kept", "After how many epochs the weights were best."),
            ("seconds", "seconds", "Of training, all epochs."),
        )
    ]
    return summary.experiment_pb(
        [api_pb2.HParamInfo(name=name, type=kind) for name, kind in COLUMNS.items()],
        metrics,
        description="Figures are those of the weights that were kept, not of the last epoch.",
    )


def session_summary(settings: Mapping[str, object]) -> Message:
    """A run's row. It has the run's name, by which it is found in the other tabs: no two have the same."""
    return summary.session_start_pb(dict(settings))


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
