"""The gain-tuning dynamic negative sampler (paper, section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from gdns_tf.models.gmf import GMF
from gdns_tf.samplers.base import Batch, Sampler, Scored, Selection
from gdns_tf.samplers.gain_table import BoundedGainTable, DenseGainTable, GainTable, gain
from pipelines.interactions import Interactions

if TYPE_CHECKING:
    from gdns_tf.training.config import TrainConfig

_H, _G = 0, 1


class Gdns(Sampler):
    """Takes the candidates with the highest gain G, which false negatives tend not to have."""

    _indicator = _G

    def __init__(self, table: GainTable, *, smoothing: float = 0.2, epsilon: float = 1e-8) -> None:
        """Args:
        table: where H and G are kept.
        smoothing: alpha of Eq. 5.
        epsilon: of Eq. 5.
        """
        super().__init__(name="gdns")
        self.table = table
        self._smoothing = smoothing
        self._epsilon = epsilon

    @classmethod
    def build(cls, train: Interactions, config: TrainConfig) -> Gdns:
        if 0 < config.gain_slots < train.num_items:
            table = BoundedGainTable(train.num_users, config.gain_slots, config.jit_compile)
        else:
            table = DenseGainTable(train.num_users, train.num_items, config.jit_compile)
        return cls(table, smoothing=config.smoothing, epsilon=config.epsilon)

    def select(self, batch: Batch, scorer: GMF) -> Selection:
        """Algorithm 1, line 10. Ties fall to the earlier candidate, that is, to either at random."""
        cells = self.table.read(batch.users, batch.candidates)
        chosen = tf.math.top_k(cells[:, :, self._indicator], batch.group_size, sorted=False).indices
        return Selection(tf.gather(batch.candidates, chosen, batch_dims=1), (tf.gather(cells, chosen, batch_dims=1),))

    def update(self, scored: Scored) -> None:
        """Eq. 4, a mean over the positive group (Algorithm 1, line 16, forgets the 1/N), and Eq. 5."""
        (before,) = scored.selection.memo
        h = tf.reduce_mean(tf.sigmoid(scored.negatives[:, None, :] - scored.positives[:, :, None]), axis=1)
        g = gain(before[:, :, _G], before[:, :, _H], h, self._smoothing, self._epsilon)
        self.table.write(scored.batch.users, scored.selection.negatives, tf.stack([h, g], axis=-1))

    def signals(self, batch: Batch) -> dict[str, tf.Tensor]:
        cells = self.table.read(batch.users, batch.candidates)
        order = tf.argsort(cells[:, :, self._indicator], direction="DESCENDING", stable=True)
        cells = tf.gather(cells, order, batch_dims=1)
        chosen, passed = cells[:, : batch.group_size], cells[:, batch.group_size :]
        return {
            "h_chosen": tf.reduce_mean(chosen[:, :, _H]),
            "h_passed_over": tf.reduce_mean(passed[:, :, _H]),
            "g_chosen": tf.reduce_mean(chosen[:, :, _G]),
            "g_passed_over": tf.reduce_mean(passed[:, :, _G]),
            "never_visited": tf.reduce_mean(tf.cast(tf.reduce_all(cells == 1.0, axis=2), tf.float32)),
        }

    def distributions(self, users: tf.Tensor) -> dict[str, tf.Tensor]:
        visited = self.table.visited(users)
        return {"H": visited[:, _H], "G": visited[:, _G]}


class GdnsWithoutG(Gdns):
    """The paper's ablation (section 4.5): the candidates with the highest H."""

    _indicator = _H
