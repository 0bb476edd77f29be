"""The plot of the report."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from gdns_tf.tuning.space import Between, Space
from gdns_tf.tuning.table import Row
from pipelines.atomic import whole

_COLUMNS = 3
_COLOURS = matplotlib.colormaps["tab10"].colors


def plot(path: Path, rows: Sequence[Row], space: Space, chosen: Row, metric: str) -> None:
    """The search's history, and the chosen model's trials by each setting that was searched.

    Args:
      path: of the PNG.
      rows: the trials.
      space: what was searched.
      chosen: the best of them.
      metric: name of what trials were chosen by.
    """
    ranges = space.models[chosen.model].ranges
    lines = 1 + -(-len(ranges) // _COLUMNS)
    figure = Figure(figsize=(9, 3.2 + 2.4 * (lines - 1)), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)  # no pyplot: a notebook's backend stays as it is
    grid = figure.add_gridspec(lines, _COLUMNS, height_ratios=[1.3] + [1] * (lines - 1))
    _history(figure.add_subplot(grid[0, :]), rows, space, metric)
    mine = [row for row in rows if row.model == chosen.model]
    for at, (name, values) in enumerate(ranges.items()):
        axes = figure.add_subplot(grid[1 + at // _COLUMNS, at % _COLUMNS])
        _slice(axes, mine, name, chosen)
        if isinstance(values, Between):
            _span(axes, values)
        axes.set_ylim(*_limits(mine))
        axes.set_ylabel(f"validation {metric}" if at % _COLUMNS == 0 else "")
    with whole(path) as unfinished:
        figure.savefig(unfinished, format="png", metadata={"Software": None})


def _history(axes: Axes, rows: Sequence[Row], space: Space, metric: str) -> None:
    """Each trial's validation in the order of the trials, and the best so far."""
    for model, colour in zip(space.models, _COLOURS, strict=False):
        for is_complete, marker in ((True, "o"), (False, "x")):
            there = [row for row in rows if row.model == model and row.is_complete == is_complete]
            label = model if is_complete else f"{model}, pruned or failed"
            if there:
                axes.plot([r.number for r in there], [r.value for r in there], marker, color=colour, label=label, ms=4)
    complete = [row for row in rows if row.is_complete]
    best = np.maximum.accumulate([row.value for row in complete])
    axes.step([row.number for row in complete], best, where="post", color="black", linewidth=1, label="best so far")
    axes.set_ylim(*_limits(rows))
    axes.set_xlabel("trial")
    axes.set_ylabel(f"validation {metric}")
    axes.legend(frameon=False, fontsize=8)
    _dress(axes)


def _slice(axes: Axes, rows: Sequence[Row], name: str, chosen: Row) -> None:
    """Validation by the value of one setting; pruned trials are pale."""
    values = [row.settings[name] for row in rows]
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        values = list(map(str, values))  # which Matplotlib takes for categories
    for value, row in zip(values, rows, strict=True):
        is_chosen = row.number == chosen.number
        colour = "#c0392b" if is_chosen else "#34618a"
        axes.plot(
            [value], [row.value], "o", color=colour, ms=6 if is_chosen else 4, alpha=1 if row.is_complete else 0.25
        )
    axes.set_xlabel(name)
    _dress(axes)


def _span(axes: Axes, values: Between) -> None:
    """Has the x axis show all that was searched, with its ends and its middle as ticks."""
    middle = (values.low * values.high) ** 0.5 if values.log else (values.low + values.high) / 2
    if values.log:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    ticks = [values.low, middle, values.high]
    axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])


def _limits(rows: Sequence[Row]) -> tuple[float, float]:
    """Of the y axis: trials far below the good ones would take most of it."""
    values = np.array([row.value for row in rows if np.isfinite(row.value)])
    low = max(values.min(), values.max() - 3 * (values.max() - np.median(values)) - 1e-3)
    room = 0.06 * (values.max() - low) + 1e-4
    return low - room, values.max() + room


def _dress(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
