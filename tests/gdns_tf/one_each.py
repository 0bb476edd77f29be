"""Ranks of one held-out item of each user."""

import numpy as np

from gdns_tf.evaluation import ranking
from pipelines.held_out import HeldOut


def sampled_ranks(model, items, negatives, ties="pessimistic"):
    """[num_users]: where each user's item stands among that user's negatives."""
    return ranking.sampled_ranks(model, HeldOut.one_each(items, negatives), ties).places


def full_ranks(model, items, masked=(), ties="pessimistic"):
    """[num_users]: where each user's item stands among all items but the masked ones."""
    nothing = np.empty((len(items), 0), np.int32)
    return ranking.full_ranks(model, HeldOut.one_each(items, nothing), masked, ties).places
