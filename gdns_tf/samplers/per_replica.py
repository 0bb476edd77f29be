"""A sampler where several replicas train together: each has one of its own, for users of its own."""

from collections.abc import Sequence

import tensorflow as tf

from gdns_tf.models.losses import RankingLoss
from gdns_tf.models.scorer import Scorer
from gdns_tf.samplers.base import Batch, Sampler, Scored, Selection
from pipelines.shares import Share


class PerReplica(Sampler):
    """Stands for the samplers of the replicas of this process: what is asked in a replica, that one's sampler answers.

    Outside all replicas, where diagnostics ask, it is the first one. The samplers' variables are no variables of the
    strategy: nothing of them ever goes to another replica.
    """

    def __init__(self, samplers: Sequence[Sampler], shares: Sequence[Share]) -> None:
        """Args:
        samplers: one for each replica of this process, built outside of the strategy's scope.
        shares: whose tables they have.
        """
        super().__init__(name="per_replica")
        self.samplers, self._shares = list(samplers), list(shares)
        self.takes_candidates = samplers[0].takes_candidates

    def _here(self) -> tuple[Sampler, int]:
        """The sampler of the replica that asks, and its first user."""
        place = 0
        if tf.distribute.has_strategy() and not tf.distribute.in_cross_replica_context():
            context = tf.distribute.get_replica_context()
            place = int(tf.get_static_value(context.replica_id_in_sync_group)) - self._shares[0].number
        return self.samplers[place], self._shares[place].first

    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        sampler, first = self._here()
        return sampler.select(batch._replace(first_user=first), scorer)

    def losses(self, scored: Scored, ranking_loss: RankingLoss) -> tf.Tensor:
        sampler, first = self._here()
        return sampler.losses(_numbered(scored, first), ranking_loss)

    def update(self, scored: Scored) -> None:
        sampler, first = self._here()
        sampler.update(_numbered(scored, first))

    def diagnostics(self, batch: Batch) -> dict[str, tf.Tensor]:
        sampler, first = self._here()
        return sampler.diagnostics(batch._replace(first_user=first))

    def distributions(self, users: tf.Tensor) -> dict[str, tf.Tensor]:
        sampler, first = self._here()
        return sampler.distributions(users - first)


def _numbered(scored: Scored, first_user: int) -> Scored:
    return scored._replace(batch=scored.batch._replace(first_user=first_user))
