"""What users would take instead of a model of ours: fitted by maintained packages, ranked by the same evaluation.

A new baseline is a file with a function of (interactions, its options), and its line in `BASELINES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from gdns_tf.evaluation.baselines.bpr import bpr
from gdns_tf.evaluation.baselines.ease import ease
from gdns_tf.evaluation.baselines.implicit_als import implicit_als
from gdns_tf.evaluation.baselines.item_knn import item_knn
from gdns_tf.evaluation.baselines.packages import require_package
from gdns_tf.evaluation.baselines.popularity import popularity
from gdns_tf.evaluation.baselines.scaled_als import scaled_als
from gdns_tf.evaluation.baselines.warp import warp
from gdns_tf.evaluation.model import Model
from pipelines.interactions import Interactions

__all__ = ["BASELINES", "Baseline", "bpr", "ease", "implicit_als", "item_knn", "popularity", "scaled_als", "warp"]


@dataclass(frozen=True)
class Baseline:
    """One entry of the registry."""

    fit: Callable[..., Model]
    """The model of (interactions, its own options, and `dim=` and `seed=` where it learns factors)."""
    learns_factors: bool = True
    """Whether it learns factors from a random start; without, neither a size nor a seed means anything to it."""
    revision: int = 1
    """To be raised when the same options come to fit differently, so that studies take no former run for a new one."""
    package: str = ""
    """What must be installed for it; see `packages`."""

    def load(self) -> None:
        """Imports its package, which takes some of them seconds, so that they are not counted as fitting.

        Raises:
          InputError: it is not installed.
        """
        self.check()
        if self.package:
            import_module(self.package)

    def check(self) -> None:
        """Raises InputError if its package is not installed."""
        if self.package:
            require_package(self.package, self.fit.__name__)

    def __call__(self, train: Interactions, *, dim: int, seed: int, **options: float) -> Model:
        """Fits it; `dim` and `seed` may be given in any case."""
        of_factors = {"dim": dim, "seed": seed} if self.learns_factors else {}
        return self.fit(train, **of_factors, **options)


BASELINES: dict[str, Baseline] = {
    "popularity": Baseline(popularity, learns_factors=False),
    "knn": Baseline(item_knn, learns_factors=False, package="irspack"),
    "ease": Baseline(ease, learns_factors=False, package="irspack"),
    "ials": Baseline(implicit_als, package="implicit"),
    "ials_scaled": Baseline(scaled_als, package="irspack"),
    "bpr": Baseline(bpr, package="cornac", revision=2),
    "warp": Baseline(warp, package="lightfm"),
}
