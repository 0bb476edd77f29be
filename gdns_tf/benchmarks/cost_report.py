"""The page of the cost curves."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from gdns_tf.benchmarks.cost_estimates import (
    ACCELERATOR,
    ACCELERATOR_BANDWIDTH,
    LATENCY,
    NETWORK_BANDWIDTH,
    WORKERS,
    estimate,
)
from gdns_tf.benchmarks.cost_model import BATCH, PowerLaw, SumOfTerms
from gdns_tf.benchmarks.cost_point import GAIN_SLOTS, ITEMS_A_USER, WARM_UP, Cost, Sizes
from gdns_tf.markdown import table

ESTIMATED = {
    "the base point": None,
    "a company's, by the recipe": Sizes(1_000_000, 100_000, group_size=32, num_candidates=64, dim=32),
    "ten times that": Sizes(10_000_000, 100_000, group_size=32, num_candidates=64, dim=32),
}
"""Sizes that the estimates are of; None: the base."""
ACCELERATOR_CORES = 16
"""Of the host of an accelerator."""


@dataclass(frozen=True)
class Machine:
    """What was measured on."""

    processor: str
    cores: int
    bandwidth: float
    """Of its memory, bytes a second."""


@dataclass(frozen=True)
class Curves:
    """All points, and what was fitted to them."""

    points: Mapping[str, Cost]
    sizes: Mapping[str, Sizes]
    seconds: SumOfTerms
    draws: SumOfTerms
    memory: SumOfTerms
    laws: Mapping[str, Mapping[str, PowerLaw]]
    """Cost -> size -> its power law with a fixed cost."""
    slopes: Mapping[str, Mapping[str, PowerLaw]]
    """The same without one."""


def report(curves: Curves, machine: Machine, seconds: float) -> str:
    """The page as Markdown.

    Args:
      curves: what was measured and fitted.
      machine: what was measured on.
      seconds: for about how long each point was.
    """
    parts = [
        "# Cost curves",
        _how_measured(curves, machine, seconds),
        "![Cost curves](curves.png)",
        _points(curves),
        "## Exponents",
        "cost = fixed + factor × size^p, by least squares of the logarithms of the size and of the cost less the fixed "
        "cost, for the fixed cost with the least squared relative error. The slope is that of a line through the "
        "logarithms, without a fixed cost. With five points on two decades the split into fixed cost and exponent is "
        "loose where a curve is flat.",
        _exponents(curves),
        "## Sums of terms",
        "By least squares of the relative errors, no cost below 0; what is left out was fitted as 0.",
        f"- seconds = {curves.seconds} (relative error {_error(curves.seconds)})\n"
        f"- draws = {curves.draws} (relative error {_error(curves.draws)})\n"
        f"- bytes = {curves.memory} (relative error {_error(curves.memory)})",
        "## Estimates",
        "**Nothing in this section was measured on an accelerator or a cluster.** By the sums of terms:",
        _estimates(curves, machine),
        _how_estimated(machine),
    ]
    return "\n\n".join(parts) + "\n"


def _how_measured(curves: Curves, machine: Machine, seconds: float) -> str:
    return (
        f"What an epoch of GDNS takes (pairs, GMF, {BATCH:,} users a step): seconds and peak memory against the "
        "numbers of users and items, N (`group_size`), M (`num_candidates`) and d (`dim`), two decades of each, the "
        f"others at {_told(curves.sizes['base'])}. Made by `python -m gdns_tf.benchmarks.cost_curves`.\n\n"
        f"Measured on {machine.cores} cores ({machine.processor}) without an accelerator, each point in a process of "
        f"its own, for about {seconds:g} seconds of training after {WARM_UP} steps of warm-up, in three parts of which "
        "the median counts. **Where an epoch takes longer than that, seconds are extrapolated from the share of it "
        "that was trained**, which the table shows. The data are random: "
        f"{ITEMS_A_USER} items a user, some more popular. The gain table is bounded to {GAIN_SLOTS} items a user at "
        "every point, so that it fits at a million users and its size does not depend on the machine. *Draws* are the "
        "seconds in which the pipeline by itself draws the positives and candidates of an epoch, with all cores to "
        "itself; in training it does so beside the step. Memory is the largest resident set of the whole process, "
        "with Python, TensorFlow and the data; a run also keeps the factors averaged and as they were best."
    )


def _how_estimated(machine: Machine) -> str:
    here, there = f"{machine.bandwidth / 1e9:.1f} GB/s", f"{ACCELERATOR_BANDWIDTH / 1e12:.2f} TB/s"
    return (
        f"- *One accelerator* ({ACCELERATOR}): the step takes its time here by the ratio of the memories' bandwidths, "
        f"{here} here (measured: a tensor that no cache holds, read and written) to {there} by the data sheet. This "
        "assumes that a step is bound by memory and reaches the same share of the bandwidth there, that all fits into "
        f"the accelerator's memory, and that a step costs no time of its own, as launching kernels does: at {BATCH:,} "
        f"users a step an optimistic bound. The draws stay on the host, here of {ACCELERATOR_CORES} cores, and count "
        "as faster by the number of cores; where they take longer than the step, they set the time.\n"
        f"- *{WORKERS} workers*, each a machine like this one: a {WORKERS}th of the users each, {BATCH:,} of them a "
        f"step, so {WORKERS * BATCH:,} in all; whether a model becomes as good by such batches was not measured. In "
        "each step the dense gradient of the item factors goes round a ring of "
        f"{8 * NETWORK_BANDWIDTH / 1e9:g} Gbit/s with {1e6 * LATENCY:.0f} µs a message, and nothing else is done "
        "meanwhile."
    )


def _told(sizes: Sizes) -> str:
    return (
        f"{sizes.num_users:,} users, {sizes.num_items:,} items, N = {sizes.group_size}, M = {sizes.num_candidates}, "
        f"d = {sizes.dim}"
    )


def _error(fitted: SumOfTerms) -> str:
    return f"{100 * fitted.error:.0f}%, at worst {100 * fitted.worst:.0f}%"


def _points(curves: Curves) -> str:
    rows = [
        (
            name,
            *(f"{value:,}" for value in asdict(curves.sizes[name]).values()),
            f"{cost.seconds:.2f}",
            f"{cost.draws:.2f}",
            f"{100 * cost.share:.0f}%",
            f"{cost.memory / 1e9:.2f}",
        )
        for name, cost in curves.points.items()
    ]
    sizes = ("users", "items", "N", "M", "d")
    return table(["point", *sizes, "s an epoch", "draws, s", "of an epoch trained", "peak, GB"], rows)


def _exponents(curves: Curves) -> str:
    rows = []
    for cost, unit in (("seconds", 1.0), ("memory", 1e9)):
        for axis, law in curves.laws[cost].items():
            slope = curves.slopes[cost][axis].exponent
            rows.append(
                (
                    "seconds an epoch" if cost == "seconds" else "peak memory, GB",
                    f"`{axis}`",
                    f"{law.exponent:.2f}",
                    f"{law.fixed / unit:.2f}",
                    f"{100 * law.error:.0f}%",
                    f"{slope:.2f}",
                )
            )
    return table(["cost", "size", "p", "fixed", "relative error", "slope without a fixed cost"], rows)


def _estimates(curves: Curves, machine: Machine) -> str:
    rows = []
    for name, sizes in ESTIMATED.items():
        sizes = sizes or curves.sizes["base"]
        found = estimate(sizes, curves.seconds, curves.draws, machine.bandwidth, ACCELERATOR_CORES / machine.cores)
        rows.append(
            (
                f"{name}: {_told(sizes)}",
                f"{found.here:,.1f}",
                f"{found.accelerator:,.2f} (draws {found.draws:,.2f})",
                f"{found.workers:,.2f} (waiting {found.communication:,.2f})",
            )
        )
    header = ["", "s an epoch here", "one accelerator: ESTIMATE", f"{WORKERS} workers: ESTIMATE"]
    return table(header, rows)
