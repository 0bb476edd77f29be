"""The Keras model whose `train_step` is one step of Algorithm 1, for any scorer, sampler and loss."""

from abc import abstractmethod
from collections.abc import Callable

import tensorflow as tf

from gdns_tf.models.scorer import Scorer
from gdns_tf.samplers.base import Batch, Sampler, Scored
from gdns_tf.training.base import ScorerTrainer


class Trainer(ScorerTrainer):
    """Trains a scorer on batches of `pipelines.batches.user_batches`, by Keras's `compile` and `fit`.

    Subclasses say what positives and negatives come to.
    """

    # Keras would count the sampler's tables among the model's weights.
    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def _attach_sampler(self, sampler: Sampler) -> None:
        self.sampler = sampler

    def __init__(self, scorer: Scorer, sampler: Sampler, *, dropout: float = 0.0, seed: int = 0) -> None:
        """Args:
        scorer: gives the scores.
        sampler: chooses the negatives.
        dropout: share of the latent factors hidden in training.
        seed: of the dropout masks and of what the sampler draws.
        """
        super().__init__(scorer, dropout=dropout, seed=seed)
        self._attach_sampler(sampler)

    @abstractmethod
    def user_weights(self, users: tf.Tensor) -> tf.Tensor:
        """[batch] float32: the factors of the users' losses."""

    @abstractmethod
    def loss_of(self, scored: Scored) -> Callable[..., tf.Tensor]:
        """What `Sampler.losses` calls: losses [batch] of scores of positives and negatives, both [batch, group_size].

        A third argument, if any, holds factors of the negatives' losses, of the same shape.
        """

    @abstractmethod
    def regularisation(self, scored: Scored) -> tf.Tensor | float:
        """What to minimise beside the losses: []."""

    @abstractmethod
    def reported(self, losses: tf.Tensor, group_size: int) -> tf.Tensor:
        """The losses [batch] in the unit that is shown."""

    @abstractmethod
    def diagnostics(self, positives: tf.Tensor, negatives: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scalars that show how hard a step is, by its scores, both [batch, group_size]."""

    def train_step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on one batch of users.

        Args:
          data: "users" [batch], "positives" [batch, group_size], "candidates" [batch, num_candidates], "step" [].

        Returns:
          {"loss"}: the mean loss, without regularisation, since the metrics were last reset.
        """
        batch = self.batch(data)
        users = batch.users
        selection = self.sampler.select(batch, self.scorer)
        weights = self.user_weights(users)

        with tf.GradientTape() as tape:
            queries = self.scorer.queries(users, self._dropout, self.mask_seed(batch.step))
            positive_scores = self.scorer.scores(queries, batch.positives)
            negative_scores = self.scorer.scores(queries, selection.negatives)
            scored = Scored(batch, self.scorer, queries, selection, positive_scores, negative_scores)
            losses = self.sampler.losses(scored, self.loss_of(scored))
            objective = tf.tensordot(weights, losses, 1) + self.regularisation(scored)

        variables = self.scorer.trainable_variables
        gradients = tape.gradient(objective, variables)
        self.sampler.update(scored)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._mean_loss.update_state(self.reported(losses, batch.group_size))
        return {"loss": self._mean_loss.result()}

    def batch(self, data: dict[str, tf.Tensor]) -> Batch:
        """What the sampler sees of a batch of the pipeline."""
        seed = tf.random.experimental.stateless_fold_in(tf.constant([self._seed, 0x5A3], tf.int64), data["step"])
        return Batch(data["users"], data["positives"], data["candidates"], data["step"], seed)
