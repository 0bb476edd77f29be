"""The plots of the reports."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from pipelines.atomic import whole

matplotlib.use("Agg")
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "font.size": 10, "figure.dpi": 110})

_COLOURS = plt.get_cmap("tab20").colors
_OURS = "#c0392b"
_OTHER = "#34618a"


def ranking(path: Path, systems: Mapping[str, Sequence[float]], published: Mapping[str, float], metric: str) -> None:
    """Each system's seeds, mean and standard deviation, best on top, beside published figures.

    Args:
      path: of the PNG.
      systems: title -> a value for each seed.
      published: title -> value.
      metric: its name.
    """
    order = sorted(systems, key=lambda title: np.mean(systems[title]))
    figure, axes = plt.subplots(figsize=(7.5, 1.0 + 0.36 * len(order)), layout="constrained")
    least = _floor([np.mean(values) for values in systems.values()])
    shown = np.concatenate([values for values in systems.values() if np.mean(values) >= least])
    near = [figure for figure in published.values() if figure > shown.min() - 1.5 * np.ptp(shown)]
    room = 0.12 * np.ptp([*shown, *near]) + 1e-4
    left = min([*shown, *near]) - room
    axes.set_xlim(left, shown.max() + room)
    for row, title in enumerate(order):
        values = np.asarray(systems[title])
        colour = _OURS if title.startswith("GDNS") else _OTHER
        told = []  # rather than drawn: it is far off
        if values.mean() >= left:
            axes.plot(values, np.full(len(values), row), "|", color=colour, alpha=0.5)
            axes.errorbar(values.mean(), row, xerr=values.std(ddof=1) if len(values) > 1 else 0, fmt="o", color=colour)
        else:
            told.append(f"{values.mean():.4f}")
        if title in published and published[title] >= left:
            axes.plot(published[title], row, "x", color="black")
        elif title in published:
            told.append(f"× {published[title]:.4f}")
        if told:
            axes.annotate(f"← {', '.join(told)}", (left, row), fontsize=8, va="center")
    axes.set_yticks(range(len(order)), order)
    axes.set_ylim(-0.6, len(order) - 0.4)
    marks = "bars: seeds; ×: published in the paper" if published else "bars: seeds"
    axes.set_xlabel(f"test {metric}: mean ± sd over seeds ({marks})")
    axes.grid(axis="x", alpha=0.3)
    _save(figure, path)


def _floor(values: Sequence[float]) -> float:
    """Below which a value is so far from most that to draw it would press the others together."""
    middle = float(np.median(values))
    return middle - max(3 * (max(values) - middle), 0.15 * abs(middle))


def curves(
    path: Path,
    lines: Mapping[str, tuple[np.ndarray, np.ndarray]],
    ylabel: str,
    xlabel: str = "epoch",
    deviations: Mapping[str, np.ndarray] | None = None,
    floor: float | None = None,
) -> None:
    """Lines over the epochs, each named where it ends.

    Args:
      path: of the PNG.
      lines: title -> (x, y).
      ylabel, xlabel: of the axes.
      deviations: title -> half the height of a band around y.
      floor: where the y axis begins, if not below all. A line that ends below it is named there, with its last value.
    """
    figure, axes = plt.subplots(figsize=(8.5, 5), layout="constrained")
    ends = {}
    for (title, (x, y)), colour in zip(lines.items(), _COLOURS[::2] + _COLOURS[1::2], strict=False):
        axes.plot(x, y, color=colour, linewidth=2 if title == "GDNS" else 1.2)
        if deviations:
            axes.fill_between(x, y - deviations[title], y + deviations[title], color=colour, alpha=0.15, linewidth=0)
        ends[title] = (x[-1], y[-1], colour)
    if floor is not None:
        axes.set_ylim(bottom=floor)
        lowest = floor + 0.03 * (axes.get_ylim()[1] - floor)
        ends = {
            title if y >= floor else f"{title} ↓ {y:.4f}": (x, max(y, lowest), colour)
            for title, (x, y, colour) in ends.items()
        }
    _name_ends(axes, ends)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(alpha=0.3)
    _save(figure, path)


def _name_ends(axes: Axes, ends: Mapping[str, tuple[float, float, object]], lines: bool = False) -> None:
    """Titles to the right of points (x, y, colour), pushed apart where they would overlap; `lines` lead to them."""
    low, high = axes.get_ylim()
    step, right = (high - low) * 0.042, max(x for x, _, _ in ends.values())
    order = sorted(ends, key=lambda title: ends[title][1])
    places = np.array([ends[title][1] for title in order])
    for _ in range(500):  # neighbours push each other apart until all have room
        overlap = np.maximum(step - np.diff(places), 0)
        if not (overlap > 1e-3 * step).any():
            break
        places[:-1] -= overlap / 2
        places[1:] += overlap / 2
    for title, y in zip(order, places, strict=True):
        if lines:
            axes.plot(
                [ends[title][0], right * 1.12], [ends[title][1], y], color=ends[title][2], linewidth=0.5, alpha=0.5
            )
        axes.annotate(
            title,
            (right * 1.12 if lines else right, y),
            xytext=(6, 0),
            textcoords="offset points",
            color=ends[title][2],
            va="center",
            annotation_clip=False,
        )


def trade_off(path: Path, points: Mapping[str, tuple[float, float]], metric: str) -> None:
    """Quality over the time it takes: title -> (seconds, value)."""
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    axes.set_xscale("log")
    least = _floor([value for _, value in points.values()])
    lowest = min(value for _, value in points.values() if value >= least)
    ends = {}
    for title, (seconds, value) in points.items():
        colour, is_far = _OURS if title.startswith("GDNS") else _OTHER, value < least
        value_shown = lowest if is_far else value
        axes.plot(seconds, value_shown, "v" if is_far else "o", color=colour)
        ends[f"{title} ↓ {value:.4f}" if is_far else title] = (seconds, value_shown, colour)
    _name_ends(axes, ends, lines=True)
    _label_seconds(axes)
    axes.set_ylabel(f"test {metric}")
    axes.grid(alpha=0.3)
    _save(figure, path)


def families(
    path: Path, lines: Mapping[str, Sequence[tuple[float, float, str]]], ours: Sequence[str], metric: str
) -> None:
    """Quality over the time it takes, a line for each kind of system through its sizes.

    Args:
      path: of the PNG.
      lines: title -> (seconds, value, size) of each point; the size is written beside it.
      ours: titles to set apart.
      metric: its name.
    """
    figure, axes = plt.subplots(figsize=(8.5, 5), layout="constrained")
    axes.set_xscale("log")
    others = itertools.cycle(plt.get_cmap("tab10").colors[:3] + plt.get_cmap("tab10").colors[4:])  # no red: ours
    for title, points in lines.items():
        x, y, sizes = zip(*points, strict=True)
        colour = _OURS if title in ours else next(others)
        style = "--" if title in ours[1:] else "-"
        axes.plot(x, y, "o", linestyle=style, color=colour, label=title, linewidth=1.2)
        for place in zip(x, y, sizes, strict=True):
            axes.annotate(place[2], place[:2], xytext=(4, 4), textcoords="offset points", fontsize=8, color=colour)
    _label_seconds(axes)
    axes.set_ylabel(f"test {metric}")
    figure.legend(frameon=False, fontsize=9, loc="outside right upper")
    axes.grid(alpha=0.3)
    _save(figure, path)


def sweep(path: Path, values: Sequence[str], metrics: Mapping[str, np.ndarray], xlabel: str) -> None:
    """A panel for each metric: means and standard deviations over seeds at each value, and the seeds.

    Args:
      path: of the PNG.
      values: labels of the x axis.
      metrics: metric -> [num_values, num_seeds].
      xlabel: what is varied.
    """
    figure, panels = plt.subplots(1, len(metrics), figsize=(4.2 * len(metrics), 3.6), layout="constrained")
    x = np.arange(len(values))
    for axes, (metric, results) in zip(np.atleast_1d(panels), metrics.items(), strict=True):
        axes.plot(x, results, ".", color=_OTHER, alpha=0.35)
        axes.errorbar(x, results.mean(axis=1), results.std(axis=1, ddof=min(1, results.shape[1] - 1)), fmt="o-")
        axes.set_xticks(x, values, rotation=30 if max(map(len, values)) > 8 else 0)
        axes.set_xlabel(xlabel)
        axes.set_title(metric)
        axes.grid(alpha=0.3)
    _save(figure, path)


def densities(path: Path, groups: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """A panel for each indicator: histograms over [0, 1] of (false negatives, common unobserved items)."""
    figure, panels = plt.subplots(1, len(groups), figsize=(4.8 * len(groups), 3.6), layout="constrained")
    for axes, (name, (false, common)) in zip(np.atleast_1d(panels), groups.items(), strict=True):
        edges = np.linspace(0, 1, len(false) + 1)
        for counts, label, colour in ((false, "planted false negatives", _OURS), (common, "common", _OTHER)):
            density = counts / max(counts.sum(), 1) * len(counts)
            axes.stairs(density, edges, fill=True, alpha=0.4, color=colour, label=label)
        axes.set_xlabel(name)
        axes.set_ylabel("density")
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, ncols=2, loc="outside upper center")
    _save(figure, path)


def _label_seconds(axes: Axes) -> None:
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel("seconds of training until the best validation (log scale)")


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished:
        # Without metadata the same figure gives the same file.
        figure.savefig(unfinished, format="png", metadata={"Software": None})
    plt.close(figure)
