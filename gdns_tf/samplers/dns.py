"""Dynamic negative sampling (Zhang et al., SIGIR 2013, Optimizing Top-N Collaborative Filtering via Dynamic Negative
Item Sampling)."""

import tensorflow as tf

from gdns_tf.models.scorer import Scorer
from gdns_tf.samplers.base import CHOOSES_BY_SCORE, Batch, Sampler, Selection


class Dns(Sampler):
    """The candidates that the model scores highest. It needs scores that mean something: see `defaults`."""

    defaults = CHOOSES_BY_SCORE

    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        return Selection(highest_scored(batch, scorer, batch.group_size))


def highest_scored(batch: Batch, scorer: Scorer, count: int) -> tf.Tensor:
    """The `count` candidates of each user that the model, without dropout, scores highest, in no order.

    Returns:
      [batch, count] int32.
    """
    scores = scorer.scores(scorer.queries(batch.users), batch.candidates)
    return tf.gather(batch.candidates, tf.math.top_k(scores, count, sorted=False).indices, batch_dims=1)
