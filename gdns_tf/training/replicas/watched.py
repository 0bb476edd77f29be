"""The loss of a worker, which ends the others: they are to be started again, and go on together."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from gdns_tf.training.replicas.lost import PeerLost

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


@contextlib.contextmanager
def peers_watched(worker: int, workers: int) -> Iterator[None]:
    """Raises PeerLost in place of what TensorFlow does where a peer is lost in the block."""
    try:
        yield
    except _SIGNS as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        signs = [line for line in lines if "aborted by" in line or "unhealthy" in line or "heartbeat" in line]
        clue = (signs or lines or [type(error).__name__])[0].rstrip(".:")
        raise PeerLost(
            f"worker {worker} of {workers} has lost another one: {clue}. Start all workers again by the same command: "
            "they go on together from the newest checkpoint"
        ) from error
