"""A scorer of one's own: python -m gdns_tf.examples.own_scorer

It has no row for a user, who is the sum of what they have. Another package would name it as an entry point of the group
`gdns_tf.scorers`, and it would be `--scorer=history_sum`.
"""

import sys
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

import gdns_tf
from gdns_tf.models.factors import Factors
from gdns_tf.models.inner_products import inner_products
from gdns_tf.models.scorer import ITEM_FACTORS, LINEAR, Scorer, ScorerConfig
from gdns_tf.models.setup import Setup
from pipelines.interactions import Interactions


class HistorySum(Scorer):
    """r(u, i) = (sum of A_j over the items j of u) / |C_u|^(1/2) . Q_i."""

    capabilities = frozenset({LINEAR, ITEM_FACTORS})
    parameters = {"A": ("num_items", "d"), "Q": ("num_items", "d")}  # noqa: RUF012

    def __init__(self, train: Interactions, dim: int, init_scale: float, seed: int) -> None:
        super().__init__(name="history_sum")
        normal, shape = tf.random.stateless_normal, [train.num_items, dim]
        self.A = tf.Variable(init_scale * normal(shape, [seed, 1]), name="A")
        self.Q = tf.Variable(init_scale * normal(shape, [seed, 2]), name="Q")
        self._histories = tf.RaggedTensor.from_row_splits(tf.constant(train.items, tf.int32), train.offsets)
        self.built = True

    @classmethod
    def create(cls, config: ScorerConfig, setup: Setup) -> "HistorySum":
        return cls(setup.train, setup.dim, setup.init_scale, setup.seed)

    def queries(self, users: tf.Tensor, dropout: float = 0.0, seed: tf.Tensor | None = None) -> tf.Tensor:
        histories = tf.gather(self._histories, users)
        sums = tf.reduce_sum(tf.ragged.map_flat_values(tf.gather, self.A, histories), axis=1)
        queries = sums / tf.sqrt(tf.cast(histories.row_lengths(), tf.float32))[:, None]
        return tf.nn.experimental.stateless_dropout(queries, dropout, seed) if dropout else queries

    def scores(self, queries: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        return inner_products(queries, self.Q, items)

    def l2(self, users: tf.Tensor, items: tf.Tensor, user_weights: tf.Tensor, item_weights: tf.Tensor) -> tf.Tensor:
        del users, user_weights
        return 0.5 * tf.tensordot(item_weights, tf.reduce_sum(tf.square(tf.gather(self.Q, items)), axis=[1, 2]), 1)

    @property
    def item_factors(self) -> tf.Variable:
        return self.Q

    @classmethod
    def factors(cls, arrays: Mapping[str, np.ndarray], train: Interactions) -> Factors:
        sums = np.add.reduceat(arrays["A"][train.items], train.offsets[:-1])  # no user is without an item
        return Factors(sums / np.sqrt(train.counts)[:, None], arrays["Q"])


def main(max_epochs: int = 200) -> None:
    data = gdns_tf.Dataset.load("planted")
    gdns_tf.SCORERS.register("history_sum", HistorySum)
    for scorer in ("gmf", "history_sum"):
        model = gdns_tf.fit(data, sampler="gdns", scorer=scorer, group_size=16, batch_size=256, max_epochs=max_epochs)
        print(f"{scorer:12} validation NDCG@3 {model.metrics['valid']['ndcg@3']:.4f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
