"""Training by the multinomial likelihood over one sample of the catalogue for a whole batch of users."""

import tensorflow as tf

from gdns_tf.models.histories import Histories, pair_scores
from gdns_tf.models.sampled_likelihood import negative_log_likelihood
from gdns_tf.models.scorer import Scorer
from gdns_tf.training.base import ScorerTrainer
from gdns_tf.training.penalty import UserPenalty
from pipelines.draws import Masses


class SharedNegativesTrainer(ScorerTrainer):
    """As `SampledSoftmaxTrainer`, but all users of a step have the same negatives, but for what they have themselves.

    One matrix product scores them, so that many more negatives take the same time. They are drawn with repeats from the
    whole catalogue; one that was drawn c times counts c times.
    """

    # Keras would track the constants as if they were layers.
    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def _attach(self, histories: Histories, masses: Masses, penalty: UserPenalty) -> None:
        self._histories, self._masses, self._penalty = histories, masses, penalty

    def __init__(
        self,
        scorer: Scorer,
        histories: Histories,
        masses: Masses,
        penalty: UserPenalty,
        *,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Args:
        scorer: with the capabilities ITEM_FACTORS and CATALOGUE.
        histories: what users have.
        masses: what the negatives are drawn by.
        penalty: regularises.
        dropout: share of the latent factors hidden in training.
        seed: of what is hidden.
        """
        super().__init__(scorer, dropout=dropout, seed=seed)
        self._attach(histories, masses, penalty)
        self.sampler = tf.Module(name="no_sampler")
        """Nothing to checkpoint."""

    def train_step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on one batch of users.

        Args:
          data: "users" [batch], "negatives" [n], "step" [].

        Returns:
          {"loss"}: mean over users of their mean loss of an item, without regularisation, since the last reset.
        """
        users = data["users"]
        row_of, items = self._histories.of(users)
        counts, weights = self._histories.counts(users), self._penalty.user_weights(users)
        negatives, _, times = tf.unique_with_counts(data["negatives"])
        log_q = self._masses.log_expected_of_all(negatives, data["negatives"].shape[0])
        log_q -= tf.math.log(tf.cast(times, tf.float32))
        own = self._own(row_of, items, negatives)
        variables = self.scorer.trainable_variables
        with tf.GradientTape() as tape:
            queries = self.scorer.queries(users, self._dropout, self.mask_seed(data["step"]))
            table = tf.convert_to_tensor(self.scorer.item_factors)
            logits = tf.matmul(queries, gather_rows(table, negatives), transpose_b=True) - log_q
            logits = tf.tensor_scatter_nd_update(logits, own, tf.fill(tf.shape(own)[:1], -float("inf")))
            losses = negative_log_likelihood(pair_scores(queries, table, row_of, items), row_of, counts, logits)
            objective = tf.tensordot(weights, losses, 1) + self._penalty(self.scorer, users)
        gradients = tape.gradient(objective, variables)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._mean_loss.update_state(losses)
        return {"loss": self._mean_loss.result()}

    def _own(self, row_of: tf.Tensor, items: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
        """[m, 2] int32: (row, place) of negatives that the user of the row has."""
        places = tf.fill([self.scorer.item_factors.shape[0]], -1)
        places = tf.tensor_scatter_nd_update(places, negatives[:, None], tf.range(tf.size(negatives)))
        at = tf.stack([row_of, tf.gather(places, items)], axis=1)
        return tf.boolean_mask(at, at[:, 1] >= 0)


def gather_rows(table: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
    """`tf.gather` of rows that are each listed once, with a dense gradient: what else uses the table has one too."""

    @tf.custom_gradient
    def forward(values: tf.Tensor) -> tuple:
        def backward(upstream: tf.Tensor) -> tf.Tensor:
            return tf.scatter_nd(items[:, None], upstream, tf.shape(values))

        return tf.gather(values, items), backward

    return forward(table)
