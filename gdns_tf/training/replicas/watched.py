"""The loss of a worker, which ends the others: they are to be started again, and go on together."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf.coordination_config_pb2 import CoordinatedJob
from tensorflow.python.eager import context

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


def await_heartbeats(workers: int, seconds: float) -> None:
    """Sets how long a worker may be silent before it counts as lost; to be called before the strategy is made.

    The strategy would set the ten seconds of TensorFlow, for which a machine that is short of time may well be silent;
    it leaves what is set already, for which there is no public function.
    """
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        heartbeat_timeout_in_ms=round(1000 * seconds),
        coordinated_jobs=[CoordinatedJob(name="worker", num_tasks=workers)],
    )
