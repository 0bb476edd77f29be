"""Generalised matrix factorisation (He et al., 2017; Eq. 2 of the paper)."""

from collections.abc import Sequence

import tensorflow as tf

from gdns_tf.models.factors import Weights
from gdns_tf.models.inner_products import inner_products, sum_by_item


class GMF(tf.keras.Model):
    """r(u, i) = sum_k w_k p_uk q_ik.

    A scorer for `gdns_tf.training.trainer.Trainer`, which needs of it: `queries`, `scores` and `l2`.
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        dim: int = 32,
        *,
        init_scale: float = 0.01,
        seed: int = 0,
        dense_item_gradient: bool = True,
    ) -> None:
        """Args:
        num_users, num_items, dim: sizes of P [num_users, dim], Q [num_items, dim] and w [dim].
        init_scale: standard deviation of P and Q at the start; w starts Glorot-uniform.
        seed: of the start.
        dense_item_gradient: whether the gradient of Q has a row for every item. It pays on a CPU, unless a batch lists
          few of the items. The values are the same but for rounding.
        """
        super().__init__(name="gmf")
        self._dense_item_gradient = dense_item_gradient
        random = tf.random.stateless_normal
        glorot = (6.0 / (dim + 1)) ** 0.5
        self.P = tf.Variable(init_scale * random([num_users, dim], [seed, 1]), name="P")
        self.Q = tf.Variable(init_scale * random([num_items, dim], [seed, 2]), name="Q")
        self.w = tf.Variable(tf.random.stateless_uniform([dim], [seed, 3], -glorot, glorot), name="w")
        self.built = True

    def queries(self, users: tf.Tensor, dropout: float = 0.0, seed: tf.Tensor | None = None) -> tf.Tensor:
        """What each user asks of the items: P * w.

        Args:
          users: [batch] int32.
          dropout: share of the latent factors hidden, one mask a user, the rest scaled up to make good for it.
          seed: [2] of the masks.

        Returns:
          [batch, dim] float32.
        """
        queries = tf.gather(self.P, users) * self.w
        return tf.nn.experimental.stateless_dropout(queries, dropout, seed) if dropout else queries

    def scores(self, queries: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Scores of listed items.

        Args:
          queries: [batch, dim] from `queries`.
          items: [batch, n] int32.

        Returns:
          [batch, n] float32.
        """
        if self._dense_item_gradient:
            return inner_products(queries, self.Q, items)
        return tf.linalg.matvec(tf.gather(self.Q, items), queries)

    def l2(self, users: tf.Tensor, items: tf.Tensor, user_weights: tf.Tensor, item_weights: tf.Tensor) -> tf.Tensor:
        """Half the weighted sum of the squared norms of p_u and q_i.

        Args:
          users: [batch] int32.
          items: [batch, n] int32.
          user_weights: [batch] float32: the weight of each p_u.
          item_weights: [batch] float32: the weight of each of the user's q_i.

        Returns:
          [] float32.
        """
        of_users = tf.tensordot(user_weights, tf.reduce_sum(tf.square(tf.gather(self.P, users)), axis=1), 1)
        if self._dense_item_gradient:  # cheaper than a squared norm for each listed row
            by_item = sum_by_item(items, tf.ones(tf.shape(items)), item_weights[:, None], self.Q.shape[0])[:, 0]
            of_items = tf.tensordot(by_item, tf.reduce_sum(tf.square(self.Q), axis=1), 1)
        else:
            of_items = tf.tensordot(item_weights, tf.reduce_sum(tf.square(tf.gather(self.Q, items)), axis=[1, 2]), 1)
        return 0.5 * (of_users + of_items)

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Scores [batch, n] of (users [batch], items [batch, n])."""
        users, items = inputs
        return self.scores(self.queries(users), items)

    @staticmethod
    def as_weights(variables: Sequence[tf.Variable]) -> Weights:
        """P, Q and w as arrays, from this model's `trainable_variables` or from copies of them, such as averages."""
        return Weights(*(variable.numpy() for variable in variables))
