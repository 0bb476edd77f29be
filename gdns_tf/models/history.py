"""A user is the sum of what they have: no table of users (Kabbur et al., KDD 2013, FISM; Liang et al., WWW 2018)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import tensorflow as tf
from scipy import sparse

from gdns_tf.models import stateless
from gdns_tf.models.factors import Factors, HistorySum
from gdns_tf.models.half import inner_products_of_half
from gdns_tf.models.histories import Histories, sum_by_row
from gdns_tf.models.inner_products import inner_products
from gdns_tf.models.l2 import weighted_squares
from gdns_tf.models.scorer import CATALOGUE, HALF, ITEM_FACTORS, LINEAR, Scorer, ScorerConfig
from gdns_tf.models.setup import Setup
from pipelines.config import flag
from pipelines.interactions import Interactions


@dataclass(frozen=True)
class HistoryConfig(ScorerConfig):
    """Settings of `History`."""

    history_power: float = flag(
        0.7, "A user is the sum of their items' vectors by (number of items)^-this.", at_least=0, at_most=1
    )
    history_dropout: float = flag(
        0.4, "Share of a user's items that are hidden from their sum in a training step.", at_least=0, below=1
    )
    history_tied: bool = flag(False, "One vector an item, A = Q, in place of two.")


class History(Scorer):
    """r(u, i) = q_u . Q_i with q_u = |C_u|^-power sum_{j in C_u} A_j.

    Memory does not grow with the users, and a new user is served exactly as a trained one. In training some items of
    each history are hidden, all of them at export. It has the score of a GMF whose w is 1 and whose P is not free.
    """

    config_class = HistoryConfig
    compiles = False  # XLA has no sums over lists of varying length
    capabilities = frozenset({LINEAR, ITEM_FACTORS, CATALOGUE, HALF})
    parameters = {"A": ("num_items", "d"), "Q": ("num_items", "d"), "history_power": ()}  # noqa: RUF012

    def __init__(
        self,
        histories: Histories,
        dim: int = 32,
        *,
        power: float = 0.7,
        history_dropout: float = 0.4,
        tied: bool = False,
        init_scale: float = 0.05,
        seed: int = 0,
    ) -> None:
        """Args:
        histories: what users have.
        dim: d.
        power: of the number of items that a user's sum is divided by.
        history_dropout: share of a user's items hidden in a training step; one stays in any case.
        tied: whether A is Q.
        init_scale: standard deviation of A and Q [num_items, dim] at the start.
        seed: of the start.
        """
        super().__init__(name=type(self).__name__.lower())
        self._power, self._history_dropout = power, history_dropout
        normal, shape = tf.random.stateless_normal, [histories.num_items, dim]
        if not tied:
            self.A = tf.Variable(init_scale * normal(shape, [seed, 4]), name="A")
        self.Q = tf.Variable(init_scale * normal(shape, [seed, 2]), name="Q")
        if tied:
            self.A = self.Q
        self._tied, self._histories = tied, histories
        self.built = True

    @classmethod
    def num_weights(cls, config: HistoryConfig, sizes: Mapping[str, int]) -> int:
        vectors = sizes["num_items"] * sizes["d"]
        return super().num_weights(config, sizes) - (vectors if config.history_tied else 0)

    @classmethod
    def create(cls, config: HistoryConfig, setup: Setup) -> Self:
        return cls(
            setup.histories,
            setup.dim,
            power=config.history_power,
            history_dropout=config.history_dropout,
            tied=config.history_tied,
            init_scale=setup.init_scale,
            seed=setup.seed,
        )

    def queries(self, users: tf.Tensor, dropout: float = 0.0, seed: tf.Tensor | None = None) -> tf.Tensor:
        """The users' sums; with a seed some items of each are hidden, and `dropout` of the latent factors."""
        row_of, items = self._histories.of(users)
        kept = tf.ones(tf.shape(items))
        if seed is not None and self._history_dropout:
            lots = stateless.uniform(tf.shape(items), tf.add(seed, [0, 0x415]))
            stays = (lots >= self._history_dropout) | (lots == tf.gather(tf.math.segment_max(lots, row_of), row_of))
            kept = tf.cast(stays, tf.float32)
        scale = tf.math.segment_sum(kept, row_of) ** -self._power
        queries = scale[:, None] * sum_by_row(self.A, row_of, items, kept)
        return stateless.dropout(queries, dropout, seed) if dropout else queries

    def scores(self, queries: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        if queries.dtype != tf.float32:
            return inner_products_of_half(queries, self.Q, items)
        return inner_products(queries, self.Q, items)

    def l2(self, users: tf.Tensor, items: tf.Tensor, user_weights: tf.Tensor, item_weights: tf.Tensor) -> tf.Tensor:
        """Of Q_i and A_i of the listed items; users have nothing of their own."""
        del users, user_weights
        return 0.5 * tf.tensordot(item_weights, tf.reduce_sum(tf.gather(self._squares(), items), axis=1), 1)

    def l2_of_catalogue(self, users: tf.Tensor, user_weights: tf.Tensor, item_weights: tf.Tensor) -> tf.Tensor:
        """Of Q_i and A_i of all items."""
        del users, user_weights
        of_items = weighted_squares(self.Q, item_weights)
        return of_items if self._tied else of_items + weighted_squares(self.A, item_weights)

    def _squares(self) -> tf.Tensor:
        """[num_items] float32: |Q_i|^2 + |A_i|^2; if they are one, once."""
        squares = tf.square(self.Q) if self._tied else tf.square(self.Q) + tf.square(self.A)
        return tf.reduce_sum(squares, axis=1)

    @property
    def item_factors(self) -> tf.Variable:
        return self.Q

    @property
    def variables_by_name(self) -> dict[str, tf.Variable]:
        return {variable.name.partition(":")[0]: variable for variable in self.trainable_variables}

    def arrays(self, variables: Sequence[tf.Variable] | None = None) -> dict[str, np.ndarray]:
        values = super().arrays(variables)
        return {"A": values["Q"], **values, "history_power": np.float32(self._power)}  # if tied, there is no A

    @classmethod
    def factors(cls, arrays: Mapping[str, np.ndarray], train: Interactions) -> Factors:
        encoder = HistorySum(arrays["A"], float(arrays["history_power"]))
        queries, start = np.empty((train.num_users, encoder.vectors.shape[1]), np.float32), 0
        for block in train.blocks():
            queries[start : start + block.num_users] = _sums(encoder, block)
            start += block.num_users
        return Factors(queries, arrays["Q"], encoder=encoder)


def _sums(encoder: HistorySum, train: Interactions) -> np.ndarray:
    """[num_users, d] float32: what the users' items come to."""
    ones = np.ones(train.num_interactions, np.float32)
    observed = sparse.csr_matrix((ones, train.items, train.offsets), (train.num_users, train.num_items))
    scale = np.maximum(train.counts, 1).astype(np.float32) ** -np.float32(encoder.power)
    return scale[:, None] * (observed @ encoder.vectors)
