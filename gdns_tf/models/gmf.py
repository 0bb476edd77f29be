"""Generalised matrix factorisation (He et al., 2017; Eq. 2 of the paper)."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from gdns_tf.models import stateless
from gdns_tf.models.factors import Factors
from gdns_tf.models.half import inner_products_of_half
from gdns_tf.models.inner_products import inner_products, sum_by_item
from gdns_tf.models.l2 import weighted_squares
from gdns_tf.models.scorer import CATALOGUE, HALF, ITEM_FACTORS, LINEAR, Scorer, ScorerConfig
from gdns_tf.models.setup import Setup
from pipelines.interactions import Interactions


class GMF(Scorer):
    """r(u, i) = sum_k w_k p_uk q_ik; the query of a user is P * w."""

    capabilities = frozenset({LINEAR, ITEM_FACTORS, CATALOGUE, HALF})
    parameters = {"P": ("num_users", "d"), "Q": ("num_items", "d"), "w": ("d",)}  # noqa: RUF012

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

    @classmethod
    def create(cls, config: ScorerConfig, setup: Setup) -> "GMF":
        # Whether a batch lists a fair part of the items, so that a gradient with a row for each wastes little.
        few_items = setup.train.num_items <= 4 * setup.users_a_step * setup.group_size
        return cls(
            setup.train.num_users,
            setup.train.num_items,
            setup.dim,
            init_scale=setup.init_scale,
            seed=setup.seed,
            dense_item_gradient=few_items and not setup.compiled and not tf.config.list_physical_devices("GPU"),
        )

    def queries(self, users: tf.Tensor, dropout: float = 0.0, seed: tf.Tensor | None = None) -> tf.Tensor:
        """P * w; dropout hides latent factors, one mask a user, and scales the rest up to make good for it."""
        queries = tf.gather(self.P, users) * self.w
        return stateless.dropout(queries, dropout, seed) if dropout else queries

    def scores(self, queries: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        if queries.dtype != tf.float32:
            return inner_products_of_half(queries, self.Q, items)
        if self._dense_item_gradient:
            return inner_products(queries, self.Q, items)
        return tf.linalg.matvec(tf.gather(self.Q, items), queries)

    def l2(self, users: tf.Tensor, items: tf.Tensor, user_weights: tf.Tensor, item_weights: tf.Tensor) -> tf.Tensor:
        """Of p_u and q_i."""
        of_users = tf.tensordot(user_weights, tf.reduce_sum(tf.square(tf.gather(self.P, users)), axis=1), 1)
        if self._dense_item_gradient:  # cheaper than a squared norm for each listed row
            by_item = sum_by_item(items, tf.ones(tf.shape(items)), item_weights[:, None], self.Q.shape[0])[:, 0]
            of_items = tf.tensordot(by_item, tf.reduce_sum(tf.square(self.Q), axis=1), 1)
        else:
            of_items = tf.tensordot(item_weights, tf.reduce_sum(tf.square(tf.gather(self.Q, items)), axis=[1, 2]), 1)
        return 0.5 * (of_users + of_items)

    def l2_of_catalogue(self, users: tf.Tensor, user_weights: tf.Tensor, item_weights: tf.Tensor) -> tf.Tensor:
        """Of p_u of the listed users and q_i of all items."""
        of_users = tf.tensordot(user_weights, tf.reduce_sum(tf.square(tf.gather(self.P, users)), axis=1), 1)
        return 0.5 * of_users + weighted_squares(self.Q, item_weights)

    @property
    def item_factors(self) -> tf.Variable:
        return self.Q

    @classmethod
    def factors(cls, arrays: Mapping[str, np.ndarray], train: Interactions) -> Factors:
        del train  # a user is a row of P
        return Factors(arrays["P"] * arrays["w"], arrays["Q"], arrays["w"])
