"""Training by pairs: a user's drawn positives against the sampler's negatives (Eq. 6)."""

import tensorflow as tf

from gdns_tf.models.losses import RankingLoss
from gdns_tf.models.scorer import Scorer
from gdns_tf.samplers.base import Sampler, Scored
from gdns_tf.training.trainer import Trainer


class PairsTrainer(Trainer):
    """Minimises a ranking loss of positive against negative groups: the paper's objective."""

    # Keras would track the constants as if they were layers.
    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def _attach_loss(self, loss: RankingLoss, user_weights: tf.Tensor) -> None:
        self.ranking_loss, self._user_weights = loss, user_weights

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
        uniform_steps: int = 0,
        scored_in: str = "float32",
    ) -> None:
        """Args:
        scorer: gives the scores.
        sampler: chooses the negatives.
        loss: of positive against negative groups.
        user_weights: [num_users] float32 factors of the users' losses.
        l2: regularisation of p_u, q_i and q_j in every pair (as SRNS's code does; the paper is silent).
        dropout: share of the latent factors hidden in training.
        seed: of the dropout masks and of what the sampler draws.
        uniform_steps: after how many steps the sampler sets in; see `Trainer`.
        scored_in: dtype of the products in scores; see `Trainer`.
        """
        options = {"uniform_steps": uniform_steps, "scored_in": scored_in}
        super().__init__(scorer, sampler, dropout=dropout, seed=seed, **options)
        self._attach_loss(loss, user_weights)
        self._l2 = l2

    def user_weights(self, users: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._user_weights, users)

    def loss_of(self, scored: Scored, sampler: Sampler) -> RankingLoss:
        del scored, sampler
        return self.ranking_loss

    def regularisation(self, scored: Scored) -> tf.Tensor | float:
        if not self._l2:
            return 0.0
        batch, group_size = scored.batch, scored.batch.group_size
        of_item = self._l2 * self.ranking_loss.pairs_per_item(group_size) * self.user_weights(batch.users)
        items = tf.concat([batch.positives, scored.selection.negatives], axis=1)
        return self.scorer.l2(batch.users, items, of_item * group_size, of_item)

    def reported(self, losses: tf.Tensor, group_size: int) -> tf.Tensor:
        """The mean loss of a pair."""
        return losses / (group_size * self.ranking_loss.pairs_per_item(group_size))

    def diagnostics(self, positives: tf.Tensor, negatives: tf.Tensor) -> dict[str, tf.Tensor]:
        """How many of the pairs miss the margin, and so still teach something."""
        shortfall = self.ranking_loss.shortfall(positives, negatives)
        return {"active_pairs": tf.reduce_mean(tf.cast(shortfall > 0, tf.float32))}
