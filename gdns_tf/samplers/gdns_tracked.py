"""GDNS with a table that does not go stale: H and G of all candidates are kept up, not only of those chosen."""

from dataclasses import dataclass

import tensorflow as tf

from gdns_tf.models import stateless
from gdns_tf.models.scorer import Scorer
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import CHOOSES_BY_SCORE, Batch, Scored, Selection
from gdns_tf.samplers.gain_table import GainTable, gain
from gdns_tf.samplers.gain_table_config import BOUNDED
from gdns_tf.samplers.gdns import Gdns, GdnsConfig
from pipelines.config import flag
from pipelines.errors import require

_H, _G = 0, 1


@dataclass(frozen=True)
class GdnsTrackedConfig(GdnsConfig):
    """Settings of `GdnsTracked`."""

    gain_weight: float = flag(0.5, "beta: a candidate is chosen by H - beta (1 - G).", at_least=0, at_most=1e6)
    choice_noise: float = flag(
        0.0, "Uniform noise up to this is added to what a candidate is chosen by.", at_least=0, at_most=1e6
    )
    gain_of_another: bool = flag(False, "A control: takes another candidate's G, which says nothing of this one.")

    takes_bounded = False  # in which the candidates of one step would drive each other out

    def check(self) -> None:
        rule = "does not go with `sampler`=gdns_tracked, which keeps all items"
        require(self.gain_slots == 0, "gain_slots", self.gain_slots, rule)
        require(self.gain_table != BOUNDED, "gain_table", self.gain_table, rule)


class GdnsTracked(Gdns):
    """Takes the candidates with the highest H - beta (1 - G), both of this very step.

    Algorithm 1 writes H and G of the chosen alone, so that a candidate is judged by what it was when last chosen, long
    ago or never. Here all candidates are scored in the step, as by `dns`, and have H and G renewed before the choice.
    H is sigmoid(r_uj - mean positive score), one evaluation in place of Eq. 4's mean over the positives, which M
    candidates would make costly. With beta = 0 and no noise it is `dns`. Like that it needs scores that mean something:
    see `defaults`.
    """

    config_class = GdnsTrackedConfig
    splits_users = True
    defaults = CHOOSES_BY_SCORE

    def __init__(
        self,
        table: GainTable,
        *,
        smoothing: float = 0.2,
        epsilon: float = 1e-8,
        gain_weight: float = 0.5,
        noise: float = 0.0,
        gain_of_another: bool = False,
    ) -> None:
        """Args:
        table: where H and G are kept.
        smoothing: alpha of Eq. 5.
        epsilon: of Eq. 5.
        gain_weight: beta.
        noise: upper end of the uniform noise added in the choice.
        gain_of_another: whether to take the G of the next candidate in place of a candidate's own.
        """
        super().__init__(table, smoothing=smoothing, epsilon=epsilon)
        self._gain_weight, self._noise, self._gain_of_another = gain_weight, noise, gain_of_another

    @classmethod
    def build(cls, config: GdnsTrackedConfig, setup: Setup) -> "GdnsTracked":
        return cls(
            GainTable.build(config, setup),
            smoothing=config.smoothing,
            epsilon=config.epsilon,
            gain_weight=config.gain_weight,
            noise=config.choice_noise,
            gain_of_another=config.gain_of_another,
        )

    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        cells = self._renewed(batch, scorer)
        chosen = tf.math.top_k(self._worth(batch, cells), batch.group_size, sorted=False).indices
        return Selection(tf.gather(batch.candidates, chosen, batch_dims=1), (cells,))

    def _renewed(self, batch: Batch, scorer: Scorer) -> tf.Tensor:
        """[batch, num_candidates, 2]: H and G of all candidates by the model as it is."""
        queries = scorer.queries(batch.users)
        positives = tf.reduce_mean(scorer.scores(queries, batch.positives), axis=1, keepdims=True)
        h = tf.sigmoid(scorer.scores(queries, batch.candidates) - positives)
        before = self.table.read(batch.rows, batch.candidates)
        g = gain(before[:, :, _G], before[:, :, _H], h, self._smoothing, self._epsilon)
        return tf.stack([h, g], axis=-1)

    def _worth(self, batch: Batch, cells: tf.Tensor) -> tf.Tensor:
        """[batch, num_candidates]: what a candidate is chosen by."""
        g = tf.roll(cells[:, :, _G], -1, axis=1) if self._gain_of_another else cells[:, :, _G]
        worth = cells[:, :, _H] - self._gain_weight * (1 - g)
        if self._noise:
            worth += stateless.uniform(tf.shape(worth), batch.seed, maxval=self._noise)
        return worth

    def update(self, scored: Scored) -> None:
        (cells,) = scored.selection.memo
        self.table.write(scored.batch.rows, scored.batch.candidates, cells)

    def diagnostics(self, batch: Batch) -> dict[str, tf.Tensor]:
        cells = self.table.read(batch.rows, batch.candidates)
        return self._chosen_and_passed_over(batch, cells, self._worth(batch, cells))
