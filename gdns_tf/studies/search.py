"""Hyper-parameters to try: the defaults, and points spread evenly over ranges."""

from collections.abc import Mapping
from dataclasses import dataclass

from scipy.stats import qmc


@dataclass(frozen=True)
class Range:
    """Values from `low` to `high`, both above 0, evenly on a log scale."""

    low: float
    high: float
    whole: bool = False
    """Whether they are whole numbers."""

    def at(self, share: float) -> float:
        """The value so far up from `low` (0) to `high` (1): whole, or of three digits."""
        value = self.low * (self.high / self.low) ** share
        return round(value) if self.whole else float(f"{value:.3g}")


def alternatives(space: Mapping[str, Range], count: int) -> list[dict[str, float]]:
    """The first `count` settings to try: {}, the defaults, and then points of a Halton sequence.

    Such points cover the space evenly however many are taken, and in each dimension as many values as there are points,
    where a grid repeats few (Bergstra and Bengio, JMLR 2012). More points go on from the same first ones. Without
    anything to vary there is only {}.
    """
    if not space:
        return [{}]
    sequence = qmc.Halton(len(space), scramble=False)
    sequence.fast_forward(1)  # past the corner where all are lowest
    points = sequence.random(count - 1)
    return [{}, *({name: space[name].at(x) for name, x in zip(space, point, strict=True)} for point in points)]
