"""The interface between everything else and a model that scores items for users.

A new scorer is a file here and a line in `gdns_tf.models.registry`. No sampler, study, evaluation, export or client
knows more of it than this.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf

from gdns_tf.models.factors import Factors
from gdns_tf.models.setup import Setup
from pipelines.checks import Settings
from pipelines.errors import InputError
from pipelines.interactions import Interactions

LINEAR = "linear"
"""Capability: scores are linear in the item's factors, so that a mixture of items scores the mixture."""
ITEM_FACTORS = "item_factors"
"""Capability: the score is the inner product of the query with a row of `Scorer.item_factors`."""
CATALOGUE = "l2_of_catalogue"
"""Capability: `Scorer.l2_of_catalogue`, by which an objective over all items is regularised."""

HALF = "half_precision"
"""Capability: `Scorer.scores` takes queries in bfloat16 too, and then multiplies in it and sums in float32."""


@dataclass(frozen=True)
class ScorerConfig(Settings):
    """Settings of a scorer's own; a scorer that has some makes a subclass of this beside it. Each is a flag."""


class Scorer(tf.keras.Model, ABC):
    """Scores items for users: a query for each user, and what it gives with each item.

    `gdns_tf.training.trainer.Trainer` trains its `trainable_variables`.
    """

    config_class: ClassVar[type[ScorerConfig]] = ScorerConfig
    capabilities: ClassVar[frozenset[str]] = frozenset()
    """What it offers beyond this interface, of the capabilities above; samplers and objectives need some."""
    compiles: ClassVar[bool] = True
    """Whether a step with it can be compiled by XLA (`jit_compile`); then it is, unasked, on a GPU."""
    parameters: ClassVar[Mapping[str, tuple[str, ...]]]
    """The arrays that `weights.npz` holds: name -> names of its axes, of "num_users", "num_items" and others, such as
    "d", that must agree among the arrays. The first are the `trainable_variables`, in their order. By the axes a warm
    start knows what is whose: rows along "num_users" go with user ids, along "num_items" with item ids."""

    @classmethod
    def num_weights(cls, config: ScorerConfig, sizes: Mapping[str, int]) -> int:
        """About how many numbers are trained; axes that `sizes` does not name count as 1."""
        del config
        return sum(math.prod(sizes.get(axis, 1) for axis in axes) for axes in cls.parameters.values())

    @classmethod
    @abstractmethod
    def create(cls, config: ScorerConfig, setup: Setup) -> "Scorer":
        """The untrained scorer for a run.

        Args:
          config: of type `config_class`.
          setup: the data and the training settings.
        """

    @abstractmethod
    def queries(self, users: tf.Tensor, dropout: float = 0.0, seed: tf.Tensor | None = None) -> tf.Tensor:
        """What each user asks of the items.

        Args:
          users: [batch] int32.
          dropout: share of what a query is made of that is hidden in training; what exactly is the scorer's affair.
          seed: [2] of the masks.

        Returns:
          [batch, d] float32.
        """

    @abstractmethod
    def scores(self, queries: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        """Scores of listed items.

        Args:
          queries: [batch, d] float32 from `queries`; of scorers with the capability HALF also these as bfloat16.
          items: [batch, n] int32.

        Returns:
          [batch, n] float32.
        """

    @abstractmethod
    def l2(self, users: tf.Tensor, items: tf.Tensor, user_weights: tf.Tensor, item_weights: tf.Tensor) -> tf.Tensor:
        """Half the weighted sum of the squared norms of what the scores of some users and items are made of.

        Args:
          users: [batch] int32.
          items: [batch, n] int32.
          user_weights: [batch] float32: the weight of each user.
          item_weights: [batch] float32: the weight of each of the user's items.

        Returns:
          [] float32.
        """

    def l2_of_catalogue(self, users: tf.Tensor, user_weights: tf.Tensor, item_weights: tf.Tensor) -> tf.Tensor:
        """As `l2`, of some users and of all items; of scorers with the capability CATALOGUE.

        Args:
          users: [batch] int32.
          user_weights: [batch] float32: the weight of each user.
          item_weights: [num_items] float32: the weight of each item.

        Returns:
          [] float32.
        """
        raise NotImplementedError(f"{type(self).__name__} has no capability {CATALOGUE}")

    @property
    def item_factors(self) -> tf.Variable | tf.Tensor:
        """[num_items, d] float32: factors of all items; of scorers with the capability ITEM_FACTORS."""
        raise NotImplementedError(f"{type(self).__name__} has no capability {ITEM_FACTORS}")

    @property
    def variables_by_name(self) -> dict[str, tf.Variable]:
        """The `trainable_variables` by the names of their arrays, in their order."""
        return dict(zip(self.parameters, self.trainable_variables, strict=False))

    def arrays(self, variables: Sequence[tf.Variable] | None = None) -> dict[str, np.ndarray]:
        """The `parameters`, to keep.

        Args:
          variables: in place of this model's `trainable_variables`: copies of them, such as averages.
        """
        names = self.variables_by_name
        return {name: variable.numpy() for name, variable in zip(names, variables or names.values(), strict=True)}

    def assign(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Makes the `trainable_variables` what `arrays` says, to begin from.

        Args:
          arrays: the `parameters`, of the shapes that `arrays()` gives.

        Raises:
          InputError: one of them is not a variable here and has another value, such as a constant of other settings.
        """
        for name, variable in self.variables_by_name.items():
            variable.assign(arrays[name])
        for name, own in self.arrays().items():
            if not np.array_equal(own, arrays[name]):
                shown = f" ({arrays[name]:g}, and here {own:g})" if own.ndim == 0 else ""
                raise InputError(
                    f"the weights' `{name}` is not what this scorer has{shown}",
                    remedy="Use the settings of the scorer that the weights were trained with.",
                )

    @classmethod
    @abstractmethod
    def factors(cls, arrays: Mapping[str, np.ndarray], train: Interactions) -> Factors:
        """What the kept `parameters` come to, to evaluate and to serve.

        Args:
          arrays: from `arrays`, or read back from `weights.npz`.
          train: what users are known by; of streamed data what there is in memory, and `blocks`.
        """

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Scores [batch, n] of (users [batch], items [batch, n])."""
        users, items = inputs
        return self.scores(self.queries(users), items)
