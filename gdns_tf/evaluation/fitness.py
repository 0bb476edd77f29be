"""Whether a model is fit to be served: its scores say something, and it ranks better than popularity does."""

import numpy as np

from gdns_tf.evaluation.baselines import popularity
from gdns_tf.evaluation.degenerate import degeneracy
from gdns_tf.evaluation.selection import SelectionMetric
from gdns_tf.models.factors import Factors
from pipelines.split import Split

REMEDY = (
    "Check that the user and item columns are the right ones; then try the defaults, more `max_epochs`, another "
    "`learning_rate`, or `tune_minutes`."
)
_CHANCE = 2.0
"""Standard errors, within which a difference may be chance: some 95%."""


def objections(factors: Factors, split: Split, select: str) -> list[str]:
    """What speaks against serving a model, each a clause with its figures; empty where nothing does.

    Args:
      factors: the model.
      split: the data.
      select: the metric, on validation, by which it must be better than popularity; see `SelectionMetric`.

    Example:
      objections(popularity(split.train), split, "ndcg@3")
      # ["every user gets the same list", "validation ndcg@3 is 0.1801, and that of popularity 0.1801 ..."]
    """
    found = degeneracy(factors), no_better_than_popularity(factors, split, select)
    return [clause for clause in found if clause]


def no_better_than_popularity(factors: Factors, split: Split, select: str) -> str:
    """The figures of a model that does not rank better than popularity on validation; empty for one that does.

    Where a difference may be chance, as it nearly always may on the data of a few users, it says so. The model counts
    as no better all the same: popularity serves these users as well, as far as anybody can tell, and a model that
    knows nothing must not pass because there is little to measure it by.
    """
    metric = SelectionMetric(select)
    ours, theirs = (metric.per_user(model, split) for model in (factors, popularity(split.train)))
    if ours.mean() > theirs.mean():
        return ""
    text = f"validation {select} is {ours.mean():.4f}, and that of popularity {theirs.mean():.4f}"
    difference = ours - theirs
    error = difference.std(ddof=1) / len(ours) ** 0.5 if len(ours) > 1 else np.inf
    if difference.mean() >= -_CHANCE * error:
        text += (
            f" (over {len(ours):,} users the difference may be chance: {difference.mean():+.4f}, standard error "
            f"{error:.4f})"
        )
    return text
