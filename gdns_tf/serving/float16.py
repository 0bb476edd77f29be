"""What storing the item factors in float16 does to the ranking."""

from dataclasses import replace

import numpy as np

from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.evaluation.top_items import top_items
from gdns_tf.models.factors import Weights
from pipelines.interactions import Interactions
from pipelines.split import Split

_MOST_USERS = 10_000
_FLOATS_AT_ONCE = 2**23
TOP = 10


def effect_of_rounding(weights: Weights, rounded: np.ndarray, seen: Interactions, dataset: Split) -> dict:
    """Compares a model with itself after its item factors were rounded.

    Args:
      weights: the model.
      rounded: [num_items, d] its Q, rounded.
      seen: items that are not recommended.
      dataset: for validation NDCG@3 (sampled protocol), by all users.

    Returns:
      "users": over how many users, evenly spaced among all, the next two are; "top10_changed": share of users whose
      ten best items, or their order, differ; "max_score_difference"; "ndcg@3" before and "ndcg@3_rounded" after.
    """
    after = replace(weights, Q=rounded.astype(np.float32))
    users = np.linspace(0, weights.num_users - 1, min(weights.num_users, _MOST_USERS)).astype(np.int64)
    changed, largest = 0, 0.0
    step = max(_FLOATS_AT_ONCE // weights.num_items, 1)
    for block in (users[first : first + step] for first in range(0, len(users), step)):
        before_top, after_top = (top_items(model, seen, block, TOP) for model in (weights, after))
        changed += int((before_top != after_top).any(axis=1).sum())
        largest = max(largest, float(np.abs(weights.query[block] @ (weights.Q - after.Q).T).max()))
    ndcg_before, ndcg_after = (
        evaluate(model, dataset, "valid", ks=(3,)).means()["ndcg@3"] for model in (weights, after)
    )
    return {
        "users": len(users),
        "top10_changed": changed / len(users),
        "max_score_difference": largest,
        "ndcg@3": ndcg_before,
        "ndcg@3_rounded": ndcg_after,
    }
