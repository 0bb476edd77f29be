"""Training by the multinomial likelihood of all that a user has, over the whole catalogue: no negatives are sampled."""

import tensorflow as tf

from gdns_tf.models.histories import Histories
from gdns_tf.models.likelihood import CELLS, negative_log_likelihood
from gdns_tf.models.scorer import Scorer
from gdns_tf.training.base import ScorerTrainer
from gdns_tf.training.penalty import UserPenalty


class MultinomialTrainer(ScorerTrainer):
    """Minimises, for each user u, -sum_{i in C_u} log softmax(r_u.)_i / (mean number of items of a user).

    The multinomial likelihood of Liang et al. (WWW 2018, Variational Autoencoders for Collaborative Filtering), without
    their encoder's hidden layers.
    """

    # Keras would track the constants as if they were layers.
    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def _attach(self, histories: Histories, penalty: UserPenalty) -> None:
        self._histories, self._penalty = histories, penalty

    def __init__(
        self,
        scorer: Scorer,
        histories: Histories,
        penalty: UserPenalty,
        *,
        users_a_step: int,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Args:
        scorer: with the capabilities ITEM_FACTORS and CATALOGUE.
        histories: what users have.
        penalty: regularises.
        users_a_step: at most; the larger, the fewer items have their scores held at a time.
        dropout: share of the latent factors hidden in training.
        seed: of what is hidden.
        """
        super().__init__(scorer, dropout=dropout, seed=seed)
        self._attach(histories, penalty)
        self._block = max(CELLS // users_a_step, 1)
        self.sampler = tf.Module(name="no_sampler")
        """Nothing to checkpoint."""

    def train_step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on one batch of users.

        Args:
          data: "users" [batch], "step" [].

        Returns:
          {"loss"}: mean over users of their mean of -log softmax, without regularisation, since the last reset.
        """
        users = data["users"]
        row_of, items = self._histories.of(users)
        shares = tf.gather(1.0 / self._histories.counts(users), row_of)
        weights = self._penalty.user_weights(users)
        variables = self.scorer.trainable_variables
        with tf.GradientTape() as tape:
            queries = self.scorer.queries(users, self._dropout, self.mask_seed(data["step"]))
            losses = negative_log_likelihood(queries, self.scorer.item_factors, row_of, items, shares, self._block)
            objective = tf.tensordot(weights, losses, 1) + self._penalty(self.scorer, users)
        gradients = tape.gradient(objective, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._mean_loss.update_state(losses)
        return {"loss": self._mean_loss.result()}
