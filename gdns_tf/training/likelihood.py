"""What the trainers share that have no sampler: a step by the likelihood of all that its users have."""

from abc import abstractmethod

import tensorflow as tf

from gdns_tf.models.histories import Histories
from gdns_tf.models.scorer import Scorer
from gdns_tf.training.base import ScorerTrainer
from gdns_tf.training.penalty import UserPenalty


class LikelihoodTrainer(ScorerTrainer):
    """Minimises the users' losses, each weighed by their number of items, and the penalty. Subclasses give them."""

    # Keras would track the constants as if they were layers.
    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def _attach(self, histories: Histories, penalty: UserPenalty) -> None:
        self._histories, self._penalty = histories, penalty

    def __init__(
        self, scorer: Scorer, histories: Histories, penalty: UserPenalty, *, dropout: float = 0.0, seed: int = 0
    ) -> None:
        """Args:
        scorer: with the capabilities ITEM_FACTORS and CATALOGUE.
        histories: what users have.
        penalty: regularises.
        dropout: share of the latent factors hidden in training.
        seed: of what is hidden.
        """
        super().__init__(scorer, dropout=dropout, seed=seed)
        self._attach(histories, penalty)
        self.sampler = tf.Module(name="no_sampler")
        """Nothing to checkpoint."""

    @abstractmethod
    def losses(self, data: dict[str, tf.Tensor], queries: tf.Tensor) -> tf.Tensor:
        """[batch] float32: each user's mean loss of an item. Called within the gradient tape.

        Args:
          data: of `step`.
          queries: [batch, d] of its users.
        """

    def step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on one batch of users.

        Args:
          data: "users" [batch], "step" [], and what `losses` needs besides.

        Returns:
          {"loss"}: mean over users of their `losses`, without regularisation, since the last reset.
        """
        users, variables = data["users"], self.scorer.trainable_variables
        with tf.GradientTape() as tape:
            queries = self.scorer.queries(users, self._dropout, self.mask_seed(data["step"]))
            losses = self.losses(data, queries)
            weighed = tf.tensordot(self._penalty.user_weights(users), losses, 1)
            objective = weighed + self._penalty(self.scorer, users)
        gradients = tape.gradient(objective, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._mean_loss.update_state(losses)
        return {"loss": self._mean_loss.result()}
