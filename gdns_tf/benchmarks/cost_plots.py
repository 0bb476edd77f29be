"""The plot of the cost curves: a panel for each size and each cost."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gdns_tf.benchmarks.cost_model import PowerLaw
from pipelines.atomic import whole

_STYLE = {"axes.spines.top": False, "axes.spines.right": False, "font.size": 9, "figure.dpi": 110}
Curve = tuple[np.ndarray, np.ndarray, np.ndarray, PowerLaw]
"""Sizes; what was measured; what the sum of terms says; the power law."""


def small_multiples(path: Path, curves: Mapping[str, Mapping[str, Curve]]) -> None:
    """Writes the plot.

    Args:
      path: of the PNG.
      curves: cost -> what is varied -> its curve; a row of panels for each cost.
    """
    with matplotlib.rc_context(_STYLE):
        columns = max(map(len, curves.values()))
        figure = Figure(figsize=(2.7 * columns, 2.6 * len(curves)), layout="constrained")
        FigureCanvasAgg(figure)  # no pyplot: a notebook's backend stays as it is
        panels = figure.subplots(len(curves), columns, sharey="row", squeeze=False)
        for row, (cost, of_sizes) in zip(panels, curves.items(), strict=True):
            for axes, (title, (x, measured, fitted, law)) in zip(row, of_sizes.items(), strict=False):
                fine = np.geomspace(x.min(), x.max(), 50)
                axes.plot(fine, law(fine), color="#c0392b", linewidth=1.2, label="fixed + factor × size^p")
                axes.plot(x, fitted, "x", color="#34618a", label="sum of terms")
                axes.plot(x, measured, "o", color="black", markersize=4, label="measured")
                axes.set_xscale("log")
                axes.set_yscale("log")
                axes.set_xlabel(title)
                axes.set_title(f"p = {law.exponent:.2f}", fontsize=9)
                axes.grid(alpha=0.3)
            row[0].set_ylabel(cost)
        figure.legend(*panels[0][0].get_legend_handles_labels(), frameon=False, ncols=3, loc="outside upper center")
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as unfinished:
            figure.savefig(unfinished, format="png", metadata={"Software": None})
