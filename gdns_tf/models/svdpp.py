"""The history encoder with a free row a user on top (Koren, KDD 2008, Factorization Meets the Neighborhood: SVD++)."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import tensorflow as tf

from gdns_tf.models import stateless
from gdns_tf.models.factors import Factors
from gdns_tf.models.histories import Histories
from gdns_tf.models.history import History
from pipelines.interactions import Interactions


class SvdPp(History):
    """r(u, i) = (p_u + |C_u|^-power sum_{j in C_u} A_j) . Q_i, p_u being the user's own.

    Users who were not trained on are served without p_u.
    """

    parameters = {**History.parameters, "P": ("num_users", "d")}  # noqa: RUF012

    def __init__(
        self, histories: Histories, dim: int = 32, *, init_scale: float = 0.05, seed: int = 0, **options: object
    ):
        """Args:
        histories: what users have.
        dim: d.
        init_scale: standard deviation of A, Q [num_items, dim] and P [num_users, dim] at the start.
        seed: of the start.
        **options: others of `History`.
        """
        super().__init__(histories, dim, init_scale=init_scale, seed=seed, **options)
        self.P = tf.Variable(init_scale * tf.random.stateless_normal([histories.num_users, dim], [seed, 1]), name="P")

    def queries(self, users: tf.Tensor, dropout: float = 0.0, seed: tf.Tensor | None = None) -> tf.Tensor:
        """The users' rows and sums; `dropout` hides latent factors of both alike."""
        queries = super().queries(users, 0.0, seed) + tf.gather(self.P, users)
        return stateless.dropout(queries, dropout, seed) if dropout else queries

    def l2(self, users: tf.Tensor, items: tf.Tensor, user_weights: tf.Tensor, item_weights: tf.Tensor) -> tf.Tensor:
        """Of p_u, and of Q_i and A_i of the listed items."""
        return self._l2_of_users(users, user_weights) + super().l2(users, items, user_weights, item_weights)

    def l2_of_catalogue(self, users: tf.Tensor, user_weights: tf.Tensor, item_weights: tf.Tensor) -> tf.Tensor:
        """Of p_u of the listed users, and of Q_i and A_i of all items."""
        return self._l2_of_users(users, user_weights) + super().l2_of_catalogue(users, user_weights, item_weights)

    def _l2_of_users(self, users: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return 0.5 * tf.tensordot(weights, tf.reduce_sum(tf.square(tf.gather(self.P, users)), axis=1), 1)

    @classmethod
    def factors(cls, arrays: Mapping[str, np.ndarray], train: Interactions) -> Factors:
        of_histories = super().factors(arrays, train)
        return replace(of_histories, queries=of_histories.queries + arrays["P"])
