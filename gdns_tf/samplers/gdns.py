"""The gain-tuning dynamic negative sampler (paper, section 3.1)."""

from dataclasses import dataclass
from typing import Self

import tensorflow as tf

from gdns_tf.models.scorer import Scorer
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import Batch, Sampler, Scored, Selection
from gdns_tf.samplers.gain_table import GainTable, gain
from gdns_tf.samplers.gain_table_config import GainTableConfig
from pipelines.config import flag

_H, _G = 0, 1


@dataclass(frozen=True)
class GdnsConfig(GainTableConfig):
    """Settings of `Gdns` and `GdnsWithoutG`."""

    smoothing: float = flag(0.2, "alpha of Eq. 5.", at_least=0, at_most=1)
    epsilon: float = flag(1e-8, "epsilon of Eq. 5.", above=0)


class Gdns(Sampler):
    """Takes the candidates with the highest gain G, which false negatives tend not to have."""

    config_class = GdnsConfig
    splits_users = True
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
    def bytes_held(cls, config: GdnsConfig, setup: Setup) -> int:
        return config.table_bytes(setup.own.size, setup.train.num_items)

    @classmethod
    def build(cls, config: GdnsConfig, setup: Setup) -> Self:
        return cls(GainTable.build(config, setup), smoothing=config.smoothing, epsilon=config.epsilon)

    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        """Algorithm 1, line 10. Ties fall to the earlier candidate, that is, to either at random."""
        cells = self.table.read(batch.rows, batch.candidates)
        chosen = tf.math.top_k(cells[:, :, self._indicator], batch.group_size, sorted=False).indices
        return Selection(tf.gather(batch.candidates, chosen, batch_dims=1), (tf.gather(cells, chosen, batch_dims=1),))

    def update(self, scored: Scored) -> None:
        """Eq. 4, a mean over the positive group (Algorithm 1, line 16, forgets the 1/N), and Eq. 5."""
        (before,) = scored.selection.memo
        h = tf.reduce_mean(tf.sigmoid(scored.negatives[:, None, :] - scored.positives[:, :, None]), axis=1)
        g = gain(before[:, :, _G], before[:, :, _H], h, self._smoothing, self._epsilon)
        self.table.write(scored.batch.rows, scored.selection.negatives, tf.stack([h, g], axis=-1))

    def diagnostics(self, batch: Batch) -> dict[str, tf.Tensor]:
        cells = self.table.read(batch.rows, batch.candidates)
        return self._chosen_and_passed_over(batch, cells, cells[:, :, self._indicator])

    @staticmethod
    def _chosen_and_passed_over(batch: Batch, cells: tf.Tensor, worth: tf.Tensor) -> dict[str, tf.Tensor]:
        """Means of H and G of the candidates by whether they would be chosen, the worthiest first."""
        order = tf.argsort(worth, direction="DESCENDING", stable=True)
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
