"""What storing the item factors in float16 does to the ranking."""

from dataclasses import replace

import numpy as np

from gdns_tf.evaluation.ranking import evaluate
from gdns_tf.evaluation.top_items import top_items
from gdns_tf.models.factors import Factors
from pipelines.split import Split

_MOST_USERS = 10_000
_FLOATS_AT_ONCE = 2**23
TOP = 10


def effect_of_rounding(factors: Factors, rounded: np.ndarray, split: Split, *, knows_held_out: bool = False) -> dict:
    """Compares a model with itself after its item factors were rounded.

    Args:
      factors: the model.
      rounded: [num_items, d] its item factors, rounded.
      split: the data; nobody is recommended what it says they have, held-out items among it.
      knows_held_out: whether the model knows the held-out items, which then say nothing about it.

    Returns:
      "users": over how many users, evenly spaced among all, the next two are; "top10_changed": share of users whose
      ten best items, or their order, differ; "max_score_difference"; and unless it knows what was held out, of
      validation under the sampled protocol and by all users, "ndcg@3" before and "ndcg@3_rounded" after.
    """
    after = replace(factors, items=rounded.astype(np.float32))
    users = np.linspace(0, factors.num_users - 1, min(factors.num_users, _MOST_USERS)).astype(np.int64)
    looked_at, seen = [model.of_users(users) for model in (factors, after)], split.select(users).all_interactions()
    changed, largest = 0, 0.0
    step = max(_FLOATS_AT_ONCE // factors.num_items, 1)
    for block in (np.arange(first, min(first + step, len(users))) for first in range(0, len(users), step)):
        before_top, after_top = (top_items(model, seen, block, TOP) for model in looked_at)
        changed += int((before_top != after_top).any(axis=1).sum())
        queries = looked_at[0].queries[block]
        largest = max(largest, float(np.abs(queries @ (factors.items - after.items).T).max()))
    effect = {"users": len(users), "top10_changed": changed / len(users), "max_score_difference": largest}
    if not knows_held_out:
        for name, model in (("ndcg@3", factors), ("ndcg@3_rounded", after)):
            effect[name] = evaluate(model, split, "valid", ks=(3,)).means()["ndcg@3"]
    return effect


def format_effect(effect: dict) -> str:
    """What `effect_of_rounding` found, in a sentence."""
    sentence = (
        f"Item factors in half precision: the ten best items differ for {effect['top10_changed']:.2%} of "
        f"{effect['users']:,} users, scores by at most {effect['max_score_difference']:.2g}"
    )
    if "ndcg@3" in effect:
        sentence += f"; validation NDCG@3 {effect['ndcg@3_rounded']:.4f} against {effect['ndcg@3']:.4f} in float32"
    return f"{sentence}."
