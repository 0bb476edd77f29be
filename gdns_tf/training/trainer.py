"""The Keras model whose `train_step` is one step of Algorithm 1, for any scorer, sampler and loss."""

import functools
from abc import abstractmethod
from collections.abc import Callable

import tensorflow as tf

from gdns_tf.models import stateless
from gdns_tf.models.scorer import Scorer
from gdns_tf.samplers.base import Batch, Sampler, Scored
from gdns_tf.samplers.uniform import Uniform
from gdns_tf.training.base import ScorerTrainer, of_replica


class Trainer(ScorerTrainer):
    """Trains a scorer on batches of `pipelines.batches.user_batches`, by Keras's `compile` and `fit`.

    Subclasses say what positives and negatives come to.
    """

    # Keras would count the sampler's tables among the model's weights.
    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def _attach_samplers(self, sampler: Sampler, first: Sampler) -> None:
        self.sampler, self._first = sampler, first

    def __init__(
        self,
        scorer: Scorer,
        sampler: Sampler,
        *,
        dropout: float = 0.0,
        seed: int = 0,
        uniform_steps: int = 0,
        scored_in: str = "float32",
    ) -> None:
        """Args:
        scorer: gives the scores.
        sampler: chooses the negatives.
        dropout: share of the latent factors hidden in training.
        seed: of the dropout masks and of what the sampler draws.
        uniform_steps: after how many steps the sampler sets in; until then it rests, and the negatives are the first
          candidates as they come.
        scored_in: dtype in which the scores of the loss are multiplied; but for float32 the scorer needs the capability
          HALF. What is scored, and the loss, is float32 in any case, and so is what a sampler scores to choose by.
        """
        super().__init__(scorer, dropout=dropout, seed=seed)
        self._attach_samplers(sampler, Uniform())
        self._uniform_steps, self._scored_in = uniform_steps, tf.as_dtype(scored_in)

    @abstractmethod
    def user_weights(self, users: tf.Tensor) -> tf.Tensor:
        """[batch] float32: the factors of the users' losses."""

    @abstractmethod
    def loss_of(self, scored: Scored, sampler: Sampler) -> Callable[..., tf.Tensor]:
        """What `Sampler.losses` of the one that chose calls: losses [batch] of scores of positives and negatives, both
        [batch, group_size].

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

    def step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on one batch of users.

        Args:
          data: "users" [batch], "positives" [batch, group_size], "candidates" [batch, num_candidates], "step" [].

        Returns:
          {"loss"}: the mean loss, without regularisation, since the metrics were last reset.
        """
        batch = self.batch(data)
        learn = functools.partial(self._learn, batch, self.mask_seed(data["step"]))
        if self._uniform_steps:
            losses, gradients = tf.cond(batch.step < 0, lambda: learn(self._first), lambda: learn(self.sampler))
        else:
            losses, gradients = learn(self.sampler)
        self.optimizer.apply_gradients(zip(gradients, self.scorer.trainable_variables, strict=True))
        self._mean_loss.update_state(self.reported(losses, batch.group_size))
        return {"loss": self._mean_loss.result()}

    def _learn(self, batch: Batch, mask_seed: tf.Tensor, sampler: Sampler) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The losses [batch] against the negatives of a sampler, which takes note of them, and the gradients."""
        selection = sampler.select(batch, self.scorer)
        weights = self.user_weights(batch.users)

        with tf.GradientTape() as tape:
            queries = self.scorer.queries(batch.users, self._dropout, mask_seed)
            listed = tf.concat([batch.positives, selection.negatives], axis=1)  # in one pass over the items' factors
            scores = tf.split(self.scores(queries, listed), [batch.group_size, -1], axis=1)
            scored = Scored(batch, self.scorer, queries, selection, *scores)
            losses = sampler.losses(scored, self.loss_of(scored, sampler))
            objective = tf.tensordot(weights, losses, 1) + self.regularisation(scored)

        gradients = tape.gradient(objective, self.scorer.trainable_variables)
        sampler.update(scored)
        return losses, gradients

    def scores(self, queries: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """The scorer's scores for the loss: [batch, n] float32 of queries [batch, d] float32 and items [batch, n]."""
        return self.scorer.scores(tf.cast(queries, self._scored_in), items)

    def batch(self, data: dict[str, tf.Tensor]) -> Batch:
        """What the sampler sees of a batch of the pipeline, which is in hand from now on."""
        self.take(data)
        seed = stateless.fold_in(tf.constant([self._seed, 0x5A3], tf.int64), data["step"])
        seed = of_replica(seed)
        step = data["step"] - self._uniform_steps
        return Batch(data["users"], data["positives"], data["candidates"], step, seed)
