"""What a run asks of those that train together; here there is but one."""

import contextlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TypeVar

import tensorflow as tf

from gdns_tf.training.base import ScorerTrainer
from pipelines.interactions import Interactions
from pipelines.shares import Share
from pipelines.streamed import StreamedInteractions

Result = TypeVar("Result")


class Replicas:
    """All replicas of the model, one a device, each with users of its own; a process has one of them or several.

    This one is a replica that trains alone, in one process on one device.
    """

    count: int = 1
    """How many replicas there are in all."""
    local: range = range(1)
    """The numbers of those of this process."""
    worker: int = 0
    """Which of the processes this is."""
    workers: int = 1
    """How many processes there are."""

    @property
    def is_chief(self) -> bool:
        """Whether this is the process that writes what there is one of: metrics, weights, history."""
        return self.worker == 0

    def shares(self, train: Interactions | StreamedInteractions) -> list[Share]:
        """The users of each replica of this process.

        Raises:
          InputError: the data cannot be shared out among so many.
        """
        return [train.share(number, self.count) for number in self.local]

    def most_users(self, share: Share) -> int:
        """How many users a process has, of whose replicas one has this share, or any other process, if it has more."""
        of_processes = share.starts[:: self.count // self.workers]
        return max(end - start for start, end in pairwise(of_processes))

    def scope(self) -> contextlib.AbstractContextManager:
        """Within it variables are made that all replicas have in common."""
        return contextlib.nullcontext()

    def batches(
        self, of_share: Callable[[Share | None], tf.data.Dataset], train: Interactions | StreamedInteractions
    ) -> tf.data.Dataset:
        """What `train_function` takes an iterator of.

        Args:
          of_share: the batches of a replica.
          train: whose users they visit.
        """
        del train
        return of_share(None)

    def train_function(self, trainer: ScorerTrainer, steps: int) -> Callable[[Iterator], float]:
        """Trains an epoch by an iterator of `batches`, and returns the mean loss of all users.

        Args:
          trainer: the model.
          steps: in an epoch.
        """
        del steps  # Keras knows
        train_epoch = trainer.make_train_function()
        return lambda batches: float(train_epoch(batches)["loss"])

    def on_chief(self, function: Callable[[], Result]) -> Result:
        """What a function returns that the chief alone calls, and for which all others wait.

        Args:
          function: returns what JSON can hold. What it raises for the user's sake, all raise.
        """
        return function()

    def any(self, told: bool) -> bool:
        """Whether any of the processes says so; all ask at the same time."""
        return told

    def everywhere(self, function: Callable[[], Result]) -> list[Result]:
        """What a function returns in each of the processes, all of which call it.

        Args:
          function: returns what JSON can hold. What it raises for the user's sake in one process, all raise.
        """
        return [function()]

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """While the block lasts, the loss of another process ends this one too.

        Raises:
          PeerLost: another process is gone.
        """
        yield


ALONE = Replicas()
