"""A sampler that knows which negatives are false, to tell how much there is to gain by telling them."""

import math

import numpy as np
import tensorflow as tf

from gdns_tf.models.scorer import Scorer
from gdns_tf.samplers.base import Batch, Sampler, Selection
from pipelines.split import Split


class Oracle(Sampler):
    """Uniform negatives without those that the user is known to like: `Split.false_negatives`, else the held-out items.

    The first of twice as many candidates that are no false negatives; where too few are left, false ones come last.
    """

    def __init__(self, split: Split) -> None:
        """Args:
        split: the data; what it holds out is looked at, so this is no sampler for use.
        """
        super().__init__(name="oracle")
        self._num_items = split.train.num_items
        users, items = split.known_false_negatives()
        self._keys = np.unique(users.astype(np.int64) * self._num_items + items)
        false = np.bincount(self._keys // self._num_items, minlength=split.train.num_users)
        unobserved = split.train.num_items - split.train.counts
        self._log_clean = np.log(np.maximum(unobserved - false, 1) / unobserved).astype(np.float32)

    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        pairs = tf.cast(batch.users, tf.int64)[:, None] * self._num_items + tf.cast(batch.candidates, tf.int64)
        keys = tf.constant(self._keys)
        places = tf.minimum(tf.searchsorted(keys, tf.reshape(pairs, [-1])), len(self._keys) - 1)
        false = tf.reshape(tf.gather(keys, places), tf.shape(pairs)) == pairs
        chosen = tf.argsort(tf.cast(false, tf.int32), axis=1, stable=True)[:, : batch.group_size]
        negatives = tf.gather(batch.candidates, chosen, batch_dims=1)
        # Each negative stands for as many of the clean items as there are to each: what is liked counts as nothing.
        log_share = math.log(batch.group_size / batch.candidates.shape[1])
        log_chosen = log_share - tf.gather(tf.constant(self._log_clean), batch.users)[:, None]
        return Selection(negatives, log_chosen=tf.broadcast_to(log_chosen, tf.shape(negatives)))
