"""The gain-tuning dynamic negative sampler (paper, section 3.1)."""

import tensorflow as tf

from gdns_tf.gain_table import GainTable, gain
from gdns_tf.samplers.base import Sampler, Selection

_H, _G = 0, 1


class Gdns(Sampler):
    """Takes the candidates with the highest gain G, which false negatives tend not to have."""

    def __init__(
        self, table: GainTable, *, smoothing: float = 0.2, epsilon: float = 1e-8, indicator: str = "g"
    ) -> None:
        """Args:
        table: where H and G are kept.
        smoothing: alpha of Eq. 5.
        epsilon: of Eq. 5.
        indicator: "g", or "h" for the paper's ablation without G (section 4.5).
        """
        super().__init__(name="gdns")
        self.table = table
        self._smoothing = smoothing
        self._epsilon = epsilon
        self._indicator = {"h": _H, "g": _G}[indicator]

    def select(self, users: tf.Tensor, candidates: tf.Tensor, group_size: int) -> Selection:
        """Algorithm 1, line 10. Ties fall to the earlier candidate, that is, to either at random."""
        cells = self.table.read(users, candidates)
        chosen = tf.math.top_k(cells[:, :, self._indicator], group_size, sorted=False).indices
        return Selection(tf.gather(candidates, chosen, batch_dims=1), (tf.gather(cells, chosen, batch_dims=1),))

    def update(self, users: tf.Tensor, selection: Selection, positives: tf.Tensor, negatives: tf.Tensor) -> None:
        """Eq. 4, a mean over the positive group (Algorithm 1, line 16, forgets the 1/N), and Eq. 5."""
        (before,) = selection.memo
        h = tf.reduce_mean(tf.sigmoid(negatives[:, None, :] - positives[:, :, None]), axis=1)
        g = gain(before[:, :, _G], before[:, :, _H], h, self._smoothing, self._epsilon)
        self.table.write(users, selection.negatives, tf.stack([h, g], axis=-1))

    def signals(self, users: tf.Tensor, candidates: tf.Tensor, group_size: int) -> dict[str, tf.Tensor]:
        cells = self.table.read(users, candidates)
        order = tf.argsort(cells[:, :, self._indicator], direction="DESCENDING", stable=True)
        cells = tf.gather(cells, order, batch_dims=1)
        chosen, passed = cells[:, :group_size], cells[:, group_size:]
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
