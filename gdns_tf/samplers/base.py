"""The interface between the trainer and a negative sampler."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Self

import numpy as np
import tensorflow as tf

from gdns_tf.models.losses import RankingLoss
from gdns_tf.models.scorer import Scorer
from gdns_tf.models.setup import Setup
from pipelines.checks import Settings


class Batch(NamedTuple):
    """What a sampler may go by in a step."""

    users: tf.Tensor
    """[batch] int32, each user at most once."""
    positives: tf.Tensor
    """[batch, group_size] int32 observed items."""
    candidates: tf.Tensor
    """[batch, num_candidates] int32 unobserved items in random order."""
    step: tf.Tensor
    """[] int64, counted from the first step in which the sampler chooses, and negative before: see `uniform_epochs`."""
    seed: tf.Tensor
    """[2] int64, another in each step and replica: the seed of what the sampler draws (`gdns_tf.models.stateless`)."""
    first_user: int = 0
    """The first of the users that this replica has: see `rows`."""

    @property
    def group_size(self) -> int:
        """N: how many negatives to choose for each user."""
        return self.positives.shape[1]

    @property
    def rows(self) -> tf.Tensor:
        """[batch] int32: the users' rows in a table of the users that are this replica's own (`Setup.own`)."""
        return self.users - self.first_user if self.first_user else self.users


class Selection(NamedTuple):
    """What a sampler chose for a batch."""

    negatives: tf.Tensor
    """[batch, group_size] int32 items."""
    memo: tuple[tf.Tensor, ...] = ()
    """Whatever `Sampler.losses` and `Sampler.update` want to know again of what `Sampler.select` saw."""
    log_chosen: tf.Tensor | None = None
    """[batch, group_size] float32: where the negatives are drawn from the candidates, the log of how often each was
    expected among them, given the candidates; None: they are chosen in another way."""


class Scored(NamedTuple):
    """A batch with its negatives and the scores that the model gives."""

    batch: Batch
    scorer: Scorer
    queries: tf.Tensor
    """[batch, dim]: the users' `scorer.queries`, with dropout."""
    selection: Selection
    positives: tf.Tensor
    """[batch, group_size] scores of the positives."""
    negatives: tf.Tensor
    """[batch, group_size] scores of the negatives."""


CHOOSES_BY_SCORE: Mapping[str, object] = MappingProxyType({"uniform_epochs": 5})
"""`Sampler.defaults` of samplers that go by the scores of the very step.

At the start scores are noise. What a user happens to score high is pushed down before anything is known, which shrinks
the factors and leaves the order as meaningless as it was: a GMF ends with all factors at zero, whatever the loss, the
start and the number of candidates, and weaker L2 regularisation postpones it to more candidates. After two epochs of
uniform negatives scores mean something, and the recipe holds as it is; five leave room for slower data
(configs/RESULTS.md).
"""


LARGEST_GROUP, LARGEST_NUM_CANDIDATES = 2**16, 2**20
"""Of `group_size`, and of whatever counts candidates: beyond that no step fits into memory."""


@dataclass(frozen=True)
class SamplerConfig(Settings):
    """Settings of a sampler's own; a sampler that has some makes a subclass of this beside it. Each is a flag."""

    def settled(self, num_users: int, num_items: int) -> Self:
        """With what they leave open decided, which depends on the data and the memory at hand; settled ones stay.

        Raises:
          InputError: what they ask for does not fit into memory.
        """
        del num_users, num_items
        return self

    def settled_as(self, former: Self) -> Self:
        """With what they leave open as it was settled in a run that is gone on with."""
        del former
        return self


class Sampler(tf.Module, ABC):
    """Chooses each user's negatives, and may learn from the scores that they got.

    A `tf.Module`: its variables are checkpointed, but are no weights of the Keras model. What it draws at random it
    draws from the batch's seed, so that a resumed run draws the same.

    Example:
      class Easiest(Sampler):
          def select(self, batch, scorer):
              scores = scorer.scores(scorer.queries(batch.users), batch.candidates)
              lowest = tf.math.top_k(-scores, batch.group_size).indices
              return Selection(tf.gather(batch.candidates, lowest, batch_dims=1))

      model = gdns_tf.fit(data, sampler=Easiest())
    """

    config_class: ClassVar[type[SamplerConfig]] = SamplerConfig
    defaults: ClassVar[Mapping[str, object]] = MappingProxyType({})
    """Settings of the run that it needs to train well -> their values where the user gives none. Those that mean
    nothing to the run's objective play no part. Best what holds on any data, as `CHOOSES_BY_SCORE`."""
    requires: ClassVar[frozenset[str]] = frozenset()
    """Capabilities that it needs of the scorer: see `gdns_tf.models.scorer`."""
    takes_candidates: ClassVar[bool] = False
    """Whether the negatives are the first candidates as they come, so that all users of a step could share them. A
    subclass with a `select` or `losses` of its own has to say so anew."""
    compiles: ClassVar[bool] = True
    """Whether a step with it can be compiled by XLA (`jit_compile`); then it is, unasked, on a GPU."""
    splits_users: ClassVar[bool] = True
    """Whether several replicas can train with it, each on users of its own: what it keeps is of single users, in tables
    of `Setup.own`, or follows from the model, which is the same everywhere. A subclass with an `update` of its own has
    to say so anew."""
    revision: ClassVar[int] = 1
    """To be raised when the same flags come to train differently, so that studies take no former run for a new one."""

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if "takes_candidates" not in vars(cls) and vars(cls).keys() & {"select", "losses"}:
            cls.takes_candidates = False
        if "splits_users" not in vars(cls) and "update" in vars(cls):
            cls.splits_users = False

    @classmethod
    def check_sizes(cls, config: SamplerConfig, group_size: int, num_candidates: int) -> None:
        """Raises InputError where its settings do not go with those of a run, before any data is read.

        Args:
          config: of type `config_class`.
          group_size: N, negatives of a user in a step.
          num_candidates: M, that they are chosen from.
        """

    @classmethod
    def bytes_held(cls, config: SamplerConfig, setup: Setup) -> int:
        """About how many bytes its own variables take, at least; what would not fit into memory is not tried."""
        del config, setup
        return 0

    @classmethod
    def build(cls, config: SamplerConfig, setup: Setup) -> Self:
        """The sampler for a run.

        Args:
          config: of type `config_class`.
          setup: the data and the training settings.

        Raises:
          InputError: the settings do not go together.
        """
        del config, setup
        return cls()

    @classmethod
    def num_candidates(cls, config: SamplerConfig, setup: Setup) -> int:
        """How many candidates a user needs in a step."""
        del config
        return setup.num_candidates

    @classmethod
    def item_weights(cls, config: SamplerConfig, setup: Setup) -> np.ndarray | None:
        """[num_items] numbers in proportion to which candidates are drawn among the unobserved; None: uniformly."""
        del config, setup
        return None

    @abstractmethod
    def select(self, batch: Batch, scorer: Scorer) -> Selection:
        """Chooses `batch.group_size` unobserved items for each user; changes nothing, since diagnostics call it too."""

    def losses(self, scored: Scored, ranking_loss: RankingLoss) -> tf.Tensor:
        """What to minimise, for each user: [batch]. Called within the gradient tape."""
        return ranking_loss(scored.positives, scored.negatives)

    def update(self, scored: Scored) -> None:
        """Takes note of a step."""
        del scored  # a body of a docstring alone would make AutoGraph warn

    def diagnostics(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Scalars that show what the sampler goes by, for TensorBoard; changes nothing."""
        del batch
        return {}

    def distributions(self, users: tf.Tensor) -> dict[str, tf.Tensor]:
        """Values by name whose histograms show the sampler's state for some users [n], by their `Batch.rows`; changes
        nothing."""
        del users
        return {}
