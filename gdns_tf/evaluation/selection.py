"""The metric that a run's weights are chosen by, on validation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gdns_tf.evaluation import metrics
from gdns_tf.evaluation.metrics import Ranks
from gdns_tf.evaluation.model import Model
from gdns_tf.evaluation.ranking import evaluate
from pipelines.checks import is_count
from pipelines.errors import InputError, shown
from pipelines.nearest import did_you_mean
from pipelines.split import Split

_FULL = "full_"


@dataclass(frozen=True)
class SelectionMetric:
    """A metric such as ndcg@3, by the sampled protocol, or full_ndcg@20, by that over all items.

    What is best by 100 sampled items is not what is best by all of them.

    Raises:
      InputError: there is no such metric, with the nearest one.
    """

    name: str

    def __post_init__(self) -> None:
        kind, at, k = self.bare.partition("@")
        if not (kind in metrics.AT_K and is_count(k, metrics.LARGEST_K) if at else kind in metrics.OVERALL):
            known = [f"{name}@3" for name in metrics.AT_K] + list(metrics.OVERALL)
            known += [f"{_FULL}{name}" for name in known]
            raise InputError(
                f"`select`={shown(self.name)} is no metric{did_you_mean(self.name, known)}",
                remedy=f"Choose among {', '.join(known)}, and any number up to {metrics.LARGEST_K:,} in place of 3.",
            )

    def of(self, model: Model, split: Split, held_out: str = "valid") -> float:
        """Its value on the validation items, or on those of test."""
        return float(self.per_user(model, split, held_out).mean())

    def per_user(self, model: Model, split: Split, held_out: str = "valid") -> np.ndarray:
        """[num_users] float64: its value for each user that is evaluated."""
        return metrics.of_users(self.bare, evaluate(model, split, held_out, self.protocol).ranks)

    def with_others(self, model: Model, split: Split, held_out: str, ks: Sequence[int]) -> dict[str, float]:
        """The metrics of the sampled protocol for lists of lengths `ks`, and this one: name -> mean over users."""
        found = evaluate(model, split, held_out, ks=ks).means()
        return found if self.name in found else found | {self.name: self.of(model, split, held_out)}

    def of_ranks(self, ranks: Ranks) -> float:
        """Its value where the ranks of the validation items by its protocol are known."""
        return float(metrics.of_users(self.bare, ranks).mean())

    @property
    def protocol(self) -> str:
        """ "sampled" or "full"."""
        return "full" if self.name.startswith(_FULL) else "sampled"

    @property
    def bare(self) -> str:
        """Its name within the protocol."""
        return self.name.removeprefix(_FULL)
