"""Cost curves: seconds an epoch and peak memory of GDNS against users, items, N, M and d.

`python -m gdns_tf.benchmarks.cost_curves --output_dir=...` measures each point in a process of its own, on random data,
and writes `curves.csv`, `curves.md` and `curves.png` there. Points that the folder has are not measured again.
"""

import csv
import io
import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from gdns_tf.benchmarks.cost_estimates import memory_bandwidth
from gdns_tf.benchmarks.cost_model import MEMORY, SECONDS, power_law, sum_of_terms
from gdns_tf.benchmarks.cost_plots import Curve, small_multiples
from gdns_tf.benchmarks.cost_point import Cost, Sizes, measure_apart
from gdns_tf.benchmarks.cost_report import Curves, Machine, report
from gdns_tf.command import Read, run_command
from pipelines.atomic import write_text, writing
from pipelines.checks import Settings
from pipelines.config import flag
from pipelines.errors import InputError, shown
from pipelines.nearest import did_you_mean

BASE = Sizes(num_users=100_000, num_items=10_000, group_size=32, num_candidates=400, dim=80)
"""The point at which the others stay while one is varied."""
AXES: Mapping[str, tuple[int, ...]] = {
    "num_users": (10_000, 31_623, 100_000, 316_228, 1_000_000),
    "num_items": (1_000, 3_162, 10_000, 31_623, 100_000),
    "group_size": (4, 12, 32, 120, 400),
    "num_candidates": (32, 100, 400, 1_000, 3_200),
    "dim": (8, 25, 80, 250, 800),
}
"""Two decades of each."""
TITLES = dict(zip(AXES, ("users", "items", "N", "M", "d"), strict=True))
COSTS = {"seconds": "seconds an epoch", "memory": "peak memory, GB"}


@dataclass(frozen=True)
class CostCurvesConfig(Settings):
    """What to measure."""

    output_dir: str = flag("", "Folder of the points and of what is written of them.", path=True)
    points: tuple[str, ...] = flag((), "Of these points alone, as dim=800; base: that from which one size is varied.")
    seconds: float = flag(8.0, "About how long the training of a point is timed.", above=0)

    def check(self) -> None:
        if not self.output_dir:
            raise InputError("`output_dir` is empty", remedy="Name a folder for the curves.")
        for name in self.points:
            if name not in (known := points()):
                raise InputError(f"`points`: there is no point {shown(name, quoted=True)}{did_you_mean(name, known)}")


def points() -> dict[str, Sizes]:
    """The points by name: the base, and those at which one of its sizes is another."""
    varied = {
        f"{axis}={value}": replace(BASE, **{axis: value})
        for axis, values in AXES.items()
        for value in values
        if value != getattr(BASE, axis)
    }
    return {"base": BASE} | varied


def main(read: Read) -> None:
    config = read(CostCurvesConfig)
    folder = Path(config.output_dir)
    measured = {}
    for name, sizes in points().items():
        if not config.points or name in config.points:
            began = time.perf_counter()
            try:
                measured[name] = point(folder / "points" / f"{name}.json", sizes, config.seconds)
            except InputError as error:
                print(f"{name}: not measured: {error}", flush=True)
                continue
            cost = measured[name]
            print(
                f"{name:24} {cost.seconds:9.3f} s an epoch, {cost.memory / 1e9:6.2f} GB, {100 * cost.share:4.0f}% of "
                f"an epoch trained ({time.perf_counter() - began:.0f} s)",
                flush=True,
            )
    if measured:
        write_text(folder / "curves.csv", as_csv(measured))
    if set(points()) - set(measured):
        print("curves.md and curves.png are written when all points are measured")
        return
    curves = Curves(
        points=measured,
        sizes=points(),
        seconds=sum_of_terms(SECONDS, *_values(measured, "seconds")),
        draws=sum_of_terms(SECONDS, *_values(measured, "draws")),
        memory=sum_of_terms(MEMORY, *_values(measured, "memory")),
        laws={cost: {axis: power_law(*curve(measured, axis, cost)) for axis in AXES} for cost in COSTS},
        slopes={
            cost: {axis: power_law(*curve(measured, axis, cost), with_fixed=False) for axis in AXES} for cost in COSTS
        },
    )
    write_text(folder / "curves.md", report(curves, _machine(folder / "points" / "machine.json"), config.seconds))
    small_multiples(folder / "curves.png", {title: _plotted(curves, cost) for cost, title in COSTS.items()})
    print(f"curves.md, curves.csv and curves.png are in {folder}")


def point(path: Path, sizes: Sizes, seconds: float) -> Cost:
    """What a point costs: as its file says, or measured and kept there."""
    if path.exists() and (kept := json.loads(path.read_text()))["sizes"] == asdict(sizes):
        return Cost(**kept["cost"])
    cost = measure_apart(sizes, seconds)
    with writing(path, path.parent, path.parent.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({"sizes": asdict(sizes), "cost": asdict(cost)}, indent=2) + "\n")
    return cost


def curve(measured: Mapping[str, Cost], axis: str, cost: str) -> tuple[np.ndarray, np.ndarray]:
    """The values [n] of a size, and the costs [n] there."""
    names = ["base" if value == getattr(BASE, axis) else f"{axis}={value}" for value in AXES[axis]]
    return np.array(AXES[axis], float), np.array([getattr(measured[name], cost) for name in names])


def as_csv(measured: Mapping[str, Cost]) -> str:
    """The points, a line each."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["point", *(f.name for f in fields(Sizes)), *(f.name for f in fields(Cost))])
    for name, cost in measured.items():
        rows.writerow([name, *asdict(points()[name]).values(), *(f"{v:.6g}" for v in asdict(cost).values())])
    return text.getvalue()


def _values(measured: Mapping[str, Cost], cost: str) -> tuple[list[Sizes], list[float]]:
    return [points()[name] for name in measured], [getattr(found, cost) for found in measured.values()]


def _machine(path: Path) -> Machine:
    """As its file says, or measured and kept there."""
    if path.exists():
        return Machine(**json.loads(path.read_text()))
    machine = Machine(platform.machine(), len(os.sched_getaffinity(0)), memory_bandwidth())
    write_text(path, json.dumps(asdict(machine), indent=2) + "\n")
    return machine


def _plotted(curves: Curves, cost: str) -> dict[str, Curve]:
    unit = 1e9 if cost == "memory" else 1.0
    plotted = {}
    for axis in AXES:
        x, y = curve(curves.points, axis, cost)
        fitted = np.array([getattr(curves, cost)(replace(BASE, **{axis: int(value)})) for value in x])
        law = curves.laws[cost][axis]
        scaled = replace(law, fixed=law.fixed / unit, factor=law.factor / unit)
        plotted[TITLES[axis]] = (x, y / unit, fitted / unit, scaled)
    return plotted


def run() -> None:
    """The entry point of the command line."""
    run_command(main, __doc__, [CostCurvesConfig])


if __name__ == "__main__":
    run()
