"""Training by the multinomial likelihood of all that a user has, over the whole catalogue: no negatives are sampled."""

import numpy as np
import tensorflow as tf

from gdns_tf.models.histories import Histories, sum_by_row
from gdns_tf.models.normaliser import log_normalisers
from gdns_tf.models.scorer import Scorer
from gdns_tf.training.base import ScorerTrainer
from pipelines.interactions import Interactions


class MultinomialTrainer(ScorerTrainer):
    """Minimises, for each user u, -sum_{i in C_u} log softmax(r_u.)_i / (mean number of items of a user).

    The multinomial likelihood of Liang et al. (WWW 2018, Variational Autoencoders for Collaborative Filtering), without
    their encoder's hidden layers. The penalty is one a user and not one an interaction:

      user_l2 / (mean number of items of a user) * sum_j share_j (|factors of item j|^2),

    where share_j, which sums to 1, is in proportion to the item's count plus the mean count: items that few have are
    held back a little more than their data would. A user's own factors, if the scorer has any, get as much.
    """

    # Keras would track the constants as if they were layers.
    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def _attach(self, train: Interactions) -> None:
        self._histories = Histories(train)

    def __init__(
        self, scorer: Scorer, train: Interactions, *, user_l2: float = 1.75, dropout: float = 0.0, seed: int = 0
    ) -> None:
        """Args:
        scorer: with the capability ITEM_FACTORS.
        train: the interactions.
        user_l2: strength of the penalty of a user; see above.
        dropout: share of the latent factors hidden in training.
        seed: of what is hidden.
        """
        super().__init__(scorer, dropout=dropout, seed=seed)
        self._attach(train)
        self.sampler = tf.Module(name="no_sampler")
        """Nothing to checkpoint."""
        counts, mean = train.counts.astype(np.float64), train.num_interactions / train.num_users
        self._user_weights = tf.constant(counts / mean, tf.float32)
        shares = train.item_counts + train.num_interactions / train.num_items
        self._shares = tf.constant(shares / shares.sum(), tf.float32)
        self._l2 = 2 * user_l2 / mean

    def train_step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on one batch of users.

        Args:
          data: "users" [batch], "step" [].

        Returns:
          {"loss"}: mean over users of their mean of -log softmax, without regularisation, since the last reset.
        """
        users = data["users"]
        row_of, items = self._histories.of(users)
        counts = tf.math.segment_sum(tf.ones(tf.shape(items)), row_of)
        weights = tf.gather(self._user_weights, users)
        variables = self.scorer.trainable_variables
        with tf.GradientTape() as tape:
            queries = self.scorer.queries(users, self._dropout, self.mask_seed(data["step"]))
            table = tf.convert_to_tensor(self.scorer.item_factors)
            of_positives = sum_by_row(table, row_of, items, tf.gather(1.0 / counts, row_of))
            losses = log_normalisers(queries, table) - tf.reduce_sum(queries * of_positives, axis=1)
            batch = tf.cast(tf.shape(users)[0], tf.float32)
            penalty = self.scorer.l2_of_catalogue(users, 0.5 * self._l2 * weights, self._l2 * batch * self._shares)
            objective = tf.tensordot(weights, losses, 1) + penalty
        gradients = tape.gradient(objective, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._mean_loss.update_state(losses)
        return {"loss": self._mean_loss.result()}
