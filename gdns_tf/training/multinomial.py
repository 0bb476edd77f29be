"""Training by the multinomial likelihood of all that a user has, over the whole catalogue: no negatives are sampled."""

import tensorflow as tf

from gdns_tf.models.likelihood import CELLS, negative_log_likelihood
from gdns_tf.training.likelihood import LikelihoodTrainer


class MultinomialTrainer(LikelihoodTrainer):
    """Minimises, for each user u, -sum_{i in C_u} log softmax(r_u.)_i / (mean number of items of a user).

    The multinomial likelihood of Liang et al. (WWW 2018, Variational Autoencoders for Collaborative Filtering), without
    their encoder's hidden layers.
    """

    def __init__(self, *args: object, users_a_step: int, **options: object) -> None:
        """Args:
        *args: of `LikelihoodTrainer`.
        users_a_step: at most; the larger, the fewer items have their scores held at a time.
        **options: of `LikelihoodTrainer`.
        """
        super().__init__(*args, **options)
        self._block = max(CELLS // users_a_step, 1)

    def losses(self, data: dict[str, tf.Tensor], queries: tf.Tensor) -> tf.Tensor:
        users = data["users"]
        row_of, items = self._histories.of(users)
        shares = tf.gather(1.0 / self._histories.counts(users), row_of)
        return negative_log_likelihood(queries, self.scorer.item_factors, row_of, items, shares, self._block)
