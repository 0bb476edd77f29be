"""The loss of a worker, which ends the others: they are to be started again, and go on together."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

_SIGNS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnknownError,
)
"""What TensorFlow raises where a peer is gone, has been started again, or does not answer; which of them is chance."""


class PeerLost(Exception):
    """Another worker is gone. What all have saved stays; the same command, in all workers, goes on from there."""


@contextlib.contextmanager
def peers_watched(worker: int, workers: int) -> Iterator[None]:
    """Raises PeerLost in place of what TensorFlow does where a peer is lost in the block."""
    try:
        yield
    except _SIGNS as error:
        first, *_ = [line for line in str(error.message or "").splitlines() if line.strip()] or [type(error).__name__]
        clue = next((line for line in str(error).splitlines() if "aborted by" in line or "unhealthy" in line), first)
        raise PeerLost(
            f"worker {worker} of {workers} has lost another one: {clue.strip()}. Start all workers again by the same "
            "command: they go on together from the newest checkpoint"
        ) from error
