"""The penalty of the likelihoods over a catalogue: one a user, whatever the number of items that they have."""

from typing import ClassVar

import numpy as np
import tensorflow as tf

from gdns_tf.models.scorer import Scorer
from pipelines.interactions import Interactions


class UserPenalty:
    """L2 regularisation that counts users and not interactions, so that one strength suits data of any density.

    In a step of some users each user's loss weighs by (its number of items / mean), as in a likelihood of all
    interactions, and the penalty is, for each of the users,

      user_l2 / (mean number of items of a user) * sum_j share_j (|factors of item j|^2),

    where share_j, which sums to 1, is in proportion to the item's count plus half the mean count: items that few have
    are held back a little more than their data would. A user's own factors, if the scorer has any, get half of
    user_l2 / (mean number of items) by the weight of the user's loss.
    """

    revision: ClassVar[int] = 2
    """To be raised when the same strength comes to train differently: studies then take no former run for a new one."""

    def __init__(self, train: Interactions, strength: float) -> None:
        """Args:
        train: the interactions.
        strength: `user_l2`.
        """
        counts, mean = train.counts.astype(np.float64), train.num_interactions / train.num_users
        self._weights = tf.constant(counts / mean, tf.float32)
        shares = train.item_counts + 0.5 * train.num_interactions / train.num_items
        self._shares = tf.constant(shares / shares.sum(), tf.float32)
        self._strength = 2 * strength / mean

    def user_weights(self, users: tf.Tensor) -> tf.Tensor:
        """[batch] float32: the factors of the users' losses."""
        return tf.gather(self._weights, users)

    def __call__(self, scorer: Scorer, users: tf.Tensor) -> tf.Tensor:
        """The penalty of a step.

        Args:
          scorer: with the capability CATALOGUE.
          users: [batch] int32.

        Returns:
          [] float32.
        """
        of_users, batch = 0.5 * self._strength * self.user_weights(users), tf.cast(tf.shape(users)[0], tf.float32)
        return scorer.l2_of_catalogue(users, of_users, self._strength * batch * self._shares)
