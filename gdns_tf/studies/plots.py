"""The plots of the reports."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    for row, title in enumerate(order):
        values = np.asarray(systems[title])
        colour = _OURS if title.startswith("GDNS") else _OTHER
        axes.plot(values, np.full(len(values), row), "|", color=colour, alpha=0.5)
        axes.errorbar(values.mean(), row, xerr=values.std(ddof=1) if len(values) > 1 else 0, fmt="o", color=colour)
        if title in published:
            axes.plot(published[title], row, "x", color="black")
    axes.set_yticks(range(len(order)), order)
    axes.set_xlabel(f"test {metric}: mean ± sd over seeds (bars: seeds; ×: published in the paper)")
    axes.grid(axis="x", alpha=0.3)
    _save(figure, path)


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
      floor: where the y axis begins, if not below all.
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
    _name_ends(axes, ends)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(alpha=0.3)
    _save(figure, path)


def _name_ends(axes: Axes, ends: Mapping[str, tuple[float, float, object]]) -> None:
    """Titles beside the ends of lines, pushed apart where they would overlap."""
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
        axes.annotate(
            title,
            (right, y),
            xytext=(6, 0),
            textcoords="offset points",
            color=ends[title][2],
            va="center",
            annotation_clip=False,
        )


def trade_off(path: Path, points: Mapping[str, tuple[float, float]], metric: str) -> None:
    """Quality over the time it takes: title -> (seconds, value)."""
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for title, (seconds, value) in points.items():
        axes.plot(seconds, value, "o", color=_OURS if title.startswith("GDNS") else _OTHER)
        axes.annotate(title, (seconds, value), xytext=(5, 4), textcoords="offset points", fontsize=9)
    axes.set_xscale("log")
    axes.set_xlabel("seconds of training until the best validation (log scale)")
    axes.set_ylabel(f"test {metric}")
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
        axes.legend(frameon=False)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    # Without metadata the same figure gives the same file.
    figure.savefig(unfinished, format="png", metadata={"Software": None})
    plt.close(figure)
    unfinished.rename(path)
