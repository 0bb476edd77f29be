"""The Keras model whose `train_step` is one step of Algorithm 1, for any scorer, sampler and loss."""

import tensorflow as tf

from gdns_tf.models.losses import RankingLoss
from gdns_tf.models.scorer import Scorer
from gdns_tf.samplers.base import Batch, Sampler, Scored
from gdns_tf.training.base import ScorerTrainer


class Trainer(ScorerTrainer):
    """Trains a scorer on batches of `pipelines.batches.user_batches`, by Keras's `compile` and `fit`."""

    # Keras would count the sampler's tables among the model's weights.
    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def _attach(self, sampler: Sampler, loss: RankingLoss, user_weights: tf.Tensor) -> None:
        self.sampler, self.ranking_loss, self._user_weights = sampler, loss, user_weights

    def __init__(
        self,
        scorer: Scorer,
        sampler: Sampler,
        loss: RankingLoss,
        user_weights: tf.Tensor,
        *,
        l2: float = 0.0,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Args:
        scorer: gives the scores.
        sampler: chooses the negatives.
        loss: of positive against negative groups.
        user_weights: [num_users] float32 factors of the users' losses.
        l2: regularisation of p_u, q_i and q_j in every pair (as SRNS's code does; the paper is silent).
        dropout: share of the latent factors hidden in training.
        seed: of the dropout masks and of what the sampler draws.
        """
        super().__init__(scorer, dropout=dropout, seed=seed)
        self._attach(sampler, loss, user_weights)
        self._l2 = l2

    def train_step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on one batch of users.

        Args:
          data: "users" [batch], "positives" [batch, group_size], "candidates" [batch, num_candidates], "step" [].

        Returns:
          {"loss"}: mean loss of a pair, without regularisation, since the metrics were last reset.
        """
        batch = self.batch(data)
        users, group_size = batch.users, batch.group_size
        pairs_per_item = self.ranking_loss.pairs_per_item(group_size)
        selection = self.sampler.select(batch, self.scorer)
        weights = tf.gather(self._user_weights, users)

        with tf.GradientTape() as tape:
            queries = self.scorer.queries(users, self._dropout, self.mask_seed(batch.step))
            positive_scores = self.scorer.scores(queries, batch.positives)
            negative_scores = self.scorer.scores(queries, selection.negatives)
            scored = Scored(batch, self.scorer, queries, selection, positive_scores, negative_scores)
            losses = self.sampler.losses(scored, self.ranking_loss)
            objective = tf.tensordot(weights, losses, 1)
            if self._l2:
                of_item = self._l2 * pairs_per_item * weights
                items = tf.concat([batch.positives, selection.negatives], axis=1)
                objective += self.scorer.l2(users, items, of_item * group_size, of_item)

        variables = self.scorer.trainable_variables
        gradients = tape.gradient(objective, variables)
        self.sampler.update(scored)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._mean_loss.update_state(losses / (group_size * pairs_per_item))
        return {"loss": self._mean_loss.result()}

    def batch(self, data: dict[str, tf.Tensor]) -> Batch:
        """What the sampler sees of a batch of the pipeline."""
        seed = tf.random.experimental.stateless_fold_in(tf.constant([self._seed, 0x5A3], tf.int64), data["step"])
        return Batch(data["users"], data["positives"], data["candidates"], data["step"], seed)
