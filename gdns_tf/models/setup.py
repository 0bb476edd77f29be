"""What a scorer and a sampler are built for."""

from dataclasses import dataclass
from functools import cached_property

from gdns_tf.models.batch_histories import BatchHistories
from gdns_tf.models.histories import Histories
from pipelines.batches import steps_per_epoch
from pipelines.interactions import Interactions
from pipelines.shares import Share, whole
from pipelines.streamed import StreamedInteractions


@dataclass(frozen=True)
class Setup:
    """The data of a run, and the training settings that scorers and samplers may depend on."""

    train: Interactions | StreamedInteractions
    """What the model learns from; everything else counts as unobserved."""
    dim: int = 32
    """d: latent factors."""
    init_scale: float = 0.01
    """Standard deviation of factors at the start."""
    group_size: int = 32
    """N: positives, and negatives, of a user in a step."""
    num_candidates: int = 64
    """M: unobserved items drawn for a user in a step, unless the sampler asks for another number."""
    batch_size: int = 1024
    """B: users a step."""
    seed: int = 0
    compiled: bool = False
    """Whether the step is compiled by XLA."""
    share: Share | None = None
    """The users of one of several replicas that train together; None: it is alone, and all users are its own."""

    @property
    def own(self) -> Share:
        """The users that this replica trains on, and keeps tables of."""
        return self.share or whole(self.train.num_users)

    @property
    def is_streamed(self) -> bool:
        """Whether the data is read from its shards, and batches bring along what their users have."""
        return isinstance(self.train, StreamedInteractions)

    @property
    def users_a_step(self) -> int:
        """At most, of all replicas together."""
        return min(self.batch_size, self.train.num_users)

    @property
    def own_users_a_step(self) -> int:
        """At most, of one replica; the same number for each, also where one has more users than another."""
        if self.own.of == 1:
            return self.users_a_step
        return max(-(-self.users_a_step // self.own.of) + 1, -(-max(self.own.sizes) // self.steps_per_epoch))

    @property
    def steps_per_epoch(self) -> int:
        return steps_per_epoch(self.train.num_users, self.batch_size)

    @cached_property
    def histories(self) -> Histories | BatchHistories:
        """What users have, in the graph: made once for all that ask. Of streamed data it is what a batch brings along.

        Raises:
          InputError: a user has no item.
        """
        return BatchHistories(self.train) if self.is_streamed else Histories(self.train)
