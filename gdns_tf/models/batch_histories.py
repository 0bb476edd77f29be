"""What the users of a batch have, by the batch itself: for data that is read from its shards, of which none is held."""

import math

import numpy as np
import tensorflow as tf

from pipelines.draws import item_masses
from pipelines.errors import InputError
from pipelines.streamed import StreamedInteractions


class BatchHistories:
    """As `Histories`, but only of the users of the batch in hand: the one that was taken last, in the same graph."""

    def __init__(self, train: StreamedInteractions) -> None:
        """Args:
        train: the interactions.
        """
        self.num_users, self.num_items = train.num_users, train.num_items
        self._users = self._histories = None

    def take(self, batch: dict) -> None:
        """Takes a batch of `pipelines.streamed_batches` in hand, within whose graph the histories are asked for."""
        self._users, self._histories = batch["users"], batch["histories"]

    def counts(self, users: tf.Tensor) -> tf.Tensor:
        """[batch] float32: how many items each user of the batch has."""
        return tf.cast(self._of(users).row_lengths(), tf.float32)

    def of(self, users: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """All observed pairs of the users of the batch.

        Args:
          users: [batch] int32: the "users" of the batch, and no others.

        Returns:
          [n] int32 positions in `users`, ascending; [n] int32 items.

        Raises:
          InputError: these are other users.
        """
        histories = self._of(users)
        return tf.cast(histories.value_rowids(), tf.int32), histories.values

    def _of(self, users: tf.Tensor) -> tf.RaggedTensor:
        if users is not self._users:
            raise InputError(
                "what is asked for are the histories of users who are not those of the batch, and of streamed data no "
                "others are in memory",
                remedy="Choose another `sampler` or `scorer`, or data that is in memory.",
            )
        return self._histories


class BatchMasses:
    """As `pipelines.draws.Masses`, of the users of the batch in hand."""

    def __init__(self, train: StreamedInteractions, histories: BatchHistories, weights: np.ndarray | None) -> None:
        """Args:
        train: whose catalogue it is.
        histories: what the users of a batch have.
        weights: [num_items] numbers >= 0, as given to `unobserved_drawer`; None: all alike.
        """
        masses = item_masses(train, weights)
        self._histories, self._total = histories, int(masses.sum())
        self._masses = tf.constant(masses, tf.int64)
        with np.errstate(divide="ignore"):  # what has no mass is never drawn, and its log never asked for
            self._log_masses = tf.constant(np.log(masses), tf.float32)

    def log_expected(self, users: tf.Tensor, items: tf.Tensor, count: int) -> tf.Tensor:
        """See `pipelines.draws.Masses.log_expected`; `users` are those of the batch."""
        row_of, observed = self._histories.of(users)
        left = self._total - tf.math.segment_sum(tf.gather(self._masses, observed), row_of)
        log_left = tf.cast(tf.math.log(tf.cast(left, tf.float64)), tf.float32)
        return math.log(count) + tf.gather(self._log_masses, items) - log_left[:, None]

    def log_expected_of_all(self, items: tf.Tensor, count: int) -> tf.Tensor:
        """See `pipelines.draws.Masses.log_expected_of_all`."""
        return tf.gather(self._log_masses, items) + math.log(count / self._total)
