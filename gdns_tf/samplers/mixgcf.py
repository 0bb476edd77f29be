"""Positive mixing (Huang et al., KDD 2021, MixGCF: An Improved Training Method for Graph Neural Network-based
Recommender Systems); without a graph there are no hops to mix."""

import tensorflow as tf

from gdns_tf.models import stateless
from gdns_tf.models.losses import RankingLoss
from gdns_tf.models.scorer import LINEAR, Scorer
from gdns_tf.models.setup import Setup
from gdns_tf.samplers.base import CHOOSES_BY_SCORE, Batch, Sampler, SamplerConfig, Scored, Selection


class MixGcf(Sampler):
    """Negatives that never were: each a mixture a q_i + (1 - a) q_j of a positive's factors and a candidate's.

    The k-th positive has M / N of the candidates to itself and one a, uniform in (0, 1), as in the authors' code; of
    its mixtures the one with the highest score is the k-th negative. As a is the same for all, that is the mixture with
    the candidate that scores highest. As the score is linear in the item's factors, the score of a mixture is the
    mixture of the scores, so no mixture is ever built. It needs scores that mean something: see `defaults`.
    """

    defaults = CHOOSES_BY_SCORE
    requires = frozenset({LINEAR})

    @classmethod
    def num_candidates(cls, config: SamplerConfig, setup: Setup) -> int:
        """As many for each positive as there are for all."""
        del config
        return setup.num_candidates // setup.group_size * setup.group_size

    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        shape = [-1, batch.candidates.shape[1] // batch.group_size, batch.group_size]  # (user, candidate, positive)
        scores = tf.reshape(scorer.scores(scorer.queries(batch.users), batch.candidates), shape)
        hardest = tf.argmax(scores, axis=1, output_type=tf.int32)
        places = hardest * batch.group_size + tf.range(batch.group_size)
        share = stateless.uniform(tf.shape(batch.positives), batch.seed)
        return Selection(tf.gather(batch.candidates, places, batch_dims=1), (share,))

    def losses(self, scored: Scored, ranking_loss: RankingLoss) -> tf.Tensor:
        (share,) = scored.selection.memo
        return ranking_loss(scored.positives, share * scored.positives + (1 - share) * scored.negatives)
