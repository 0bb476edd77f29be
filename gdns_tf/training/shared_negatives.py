"""Training by the multinomial likelihood over one sample of the catalogue for a whole batch of users."""

import tensorflow as tf

from gdns_tf.models.histories import pair_scores
from gdns_tf.models.sampled_likelihood import negative_log_likelihood
from gdns_tf.training.likelihood import LikelihoodTrainer
from pipelines.draws import Masses


class SharedNegativesTrainer(LikelihoodTrainer):
    """As `SampledSoftmaxTrainer`, but all users of a step have the same negatives, but for what they have themselves.

    One matrix product scores them, so that many more negatives take the same time. They are drawn with repeats from the
    whole catalogue, "negatives" [n] of a batch; one that was drawn c times counts c times.
    """

    # Keras would track the constants as if they were layers.
    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def _attach_masses(self, masses: Masses) -> None:
        self._masses = masses

    def __init__(self, *args: object, masses: Masses, **options: object) -> None:
        """Args:
        *args: of `LikelihoodTrainer`.
        masses: what the negatives are drawn by.
        **options: of `LikelihoodTrainer`.
        """
        super().__init__(*args, **options)
        self._attach_masses(masses)

    def losses(self, data: dict[str, tf.Tensor], queries: tf.Tensor) -> tf.Tensor:
        users, table = data["users"], tf.convert_to_tensor(self.scorer.item_factors)
        row_of, items = self._histories.of(users)
        negatives, _, times = tf.unique_with_counts(data["negatives"])
        log_q = self._masses.log_expected_of_all(negatives, data["negatives"].shape[0])
        log_q -= tf.math.log(tf.cast(times, tf.float32))
        logits = tf.matmul(queries, gather_rows(table, negatives), transpose_b=True) - log_q
        own = self._own(row_of, items, negatives)
        logits = tf.tensor_scatter_nd_update(logits, own, tf.fill(tf.shape(own)[:1], -float("inf")))
        scores = pair_scores(queries, table, row_of, items)
        return negative_log_likelihood(scores, row_of, self._histories.counts(users), logits)

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
