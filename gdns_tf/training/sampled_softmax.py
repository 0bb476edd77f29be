"""Training by the multinomial likelihood over a sample of the catalogue: a user's items against sampled negatives."""

from collections.abc import Callable

import tensorflow as tf

from gdns_tf.models.histories import Histories, pair_scores
from gdns_tf.models.sampled_likelihood import negative_log_likelihood
from gdns_tf.models.scorer import Scorer
from gdns_tf.samplers.base import Sampler, Scored
from gdns_tf.training.penalty import UserPenalty
from gdns_tf.training.trainer import Trainer
from pipelines.draws import Masses


class SampledSoftmaxTrainer(Trainer):
    """The multinomial objective, with the sum over the unobserved items estimated from a sampler's negatives.

    A user u with items C_u loses

      log(sum_{i in C_u} exp(r_ui) + sum_j exp(r_uj) / q_uj) - mean_{i in C_u} r_ui,

    j over the negatives, q_uj being how often j was expected among them: the log-Q correction (Bengio & Senecal, 2008,
    Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language Model). It is known where the
    negatives are the candidates, which come by known chances, and where the sampler draws from them by known ones. Of a
    sampler that takes what is hardest, most volatile or the like there is no such chance: there q_uj is that of a
    candidate but for one factor a user, which makes the sum what all candidates say it is. The choice then moves the
    gradient to what was chosen, and not the weight of the unobserved against the observed. (What `mixgcf` mixes in
    after the choice comes on top.) A sampler whose loss is its own, `enmf`, keeps it.
    """

    # Keras would track the constants as if they were layers.
    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def _attach(self, histories: Histories, masses: Masses, penalty: UserPenalty) -> None:
        self._histories, self._masses, self._penalty = histories, masses, penalty

    def __init__(
        self,
        scorer: Scorer,
        sampler: Sampler,
        histories: Histories,
        masses: Masses,
        penalty: UserPenalty,
        *,
        dropout: float = 0.0,
        seed: int = 0,
        uniform_steps: int = 0,
    ) -> None:
        """Args:
        scorer: with the capabilities ITEM_FACTORS and CATALOGUE.
        sampler: chooses the negatives.
        histories: what users have.
        masses: what the candidates are drawn by.
        penalty: regularises.
        dropout: share of the latent factors hidden in training.
        seed: of what is hidden, and of what the sampler draws.
        uniform_steps: after how many steps the sampler sets in; see `Trainer`.
        """
        super().__init__(scorer, sampler, dropout=dropout, seed=seed, uniform_steps=uniform_steps)
        self._attach(histories, masses, penalty)

    def user_weights(self, users: tf.Tensor) -> tf.Tensor:
        return self._penalty.user_weights(users)

    def loss_of(self, scored: Scored, sampler: Sampler) -> Callable[..., tf.Tensor]:
        """The loss above. Of the drawn positives only how far the sampler moved them counts: all items take part."""
        batch = scored.batch
        row_of, items = self._histories.of(batch.users)
        counts = self._histories.counts(batch.users)
        of_items = pair_scores(scored.queries, self.scorer.item_factors, row_of, items)
        log_q = self._log_q(scored, sampler)

        def losses(positives: tf.Tensor, negatives: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
            moved = tf.reduce_mean(positives - scored.positives, axis=1)
            logits = negatives - log_q if weights is None else negatives - log_q + tf.math.log(weights)
            return negative_log_likelihood(of_items + tf.gather(moved, row_of), row_of, counts, logits)

        return losses

    def _log_q(self, scored: Scored, sampler: Sampler) -> tf.Tensor:
        """[batch, group_size]: log q_uj of the negatives."""
        (users, _, candidates, *_), selection = scored.batch, scored.selection
        if sampler.takes_candidates:
            return self._masses.log_expected(users, selection.negatives, selection.negatives.shape[1])
        log_q = self._masses.log_expected(users, selection.negatives, candidates.shape[1])
        if selection.log_chosen is not None:
            return log_q + selection.log_chosen
        of_candidates = self.scorer.scores(scored.queries, candidates)
        of_candidates -= self._masses.log_expected(users, candidates, candidates.shape[1])
        by_chosen = tf.reduce_logsumexp(scored.negatives - log_q, axis=1, keepdims=True)
        by_all = tf.reduce_logsumexp(of_candidates, axis=1, keepdims=True)
        return log_q + tf.stop_gradient(by_chosen - by_all)

    def regularisation(self, scored: Scored) -> tf.Tensor:
        return self._penalty(self.scorer, scored.batch.users)

    def reported(self, losses: tf.Tensor, group_size: int) -> tf.Tensor:
        """The mean loss of a user's item."""
        del group_size
        return losses

    def diagnostics(self, positives: tf.Tensor, negatives: tf.Tensor) -> dict[str, tf.Tensor]:
        """How many of the negatives score above the mean positive."""
        above = negatives > tf.reduce_mean(positives, axis=1, keepdims=True)
        return {"negatives_above_positives": tf.reduce_mean(tf.cast(above, tf.float32))}
