"""The Custom Scalars tab: what is to be compared, in one chart."""

import re
from collections.abc import Iterable, Mapping, Sequence

from tensorboard.plugins.custom_scalar import layout_pb2, summary

from gdns_tf.runs.tensorboard import tags
from gdns_tf.runs.tensorboard.events import Message

_SIDES = re.compile(r"_(chosen|passed_over|among_chosen|among_candidates)$")
"""What names of diagnostics end in that are two sides of one thing."""


def layout_summary(
    metrics: Sequence[str], popularity: Iterable[str], select: str, diagnostics: Iterable[str]
) -> Message:
    """The layout of a run's charts; TensorBoard makes one of those of all runs.

    Args:
      metrics: of a validation.
      popularity: those of them whose level by popularity is known.
      select: the metric that weights are chosen by.
      diagnostics: names of what is shown of the sampler.
    """
    metrics, known = tags.shown(metrics, select), set(popularity)
    charts = {
        name: _chart(
            f"{tags.title(name)} of validation" + (", and popularity's level" if name in known else ""),
            [tags.valid(name), *([tags.of_popularity(name)] if name in known else [])],
        )
        for name in metrics
    }
    sides: dict[str, list[str]] = {}
    for name in diagnostics:
        sides.setdefault(_SIDES.sub("", name), []).append(tags.of_sampler(name))
    categories: Mapping[str, list[layout_pb2.Chart]] = {
        "Does it learn, and more than what is popular?": [charts.pop(select), _chart("Training loss", [tags.LOSS])],
        "Other metrics": list(charts.values()),
        "What the sampler chooses": [_chart(name.replace("_", " "), of) for name, of in sides.items()],
    }
    return summary.pb(
        layout_pb2.Layout(
            category=[layout_pb2.Category(title=title, chart=of) for title, of in categories.items() if of]
        )
    )


def _chart(title: str, of: Sequence[str]) -> layout_pb2.Chart:
    patterns = [f"^{re.escape(tag)}$" for tag in of]
    return layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=patterns))
