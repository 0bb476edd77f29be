"""Replicas that train together by TensorFlow's strategies: devices of one process, or processes of a cluster.

The weights and the optimizer's numbers are the strategy's: the same everywhere, for the gradients are summed before
they are applied. As a step minimises a sum over its users, the sum over the replicas is the gradient of all their
users, and the step that of one replica which has them all. What a sampler keeps of users is each replica's own.
"""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from gdns_tf.training.base import ScorerTrainer
from gdns_tf.training.conversion import needs_autograph
from gdns_tf.training.replicas.base import ALONE, Replicas, Result
from gdns_tf.training.replicas.cluster import Cluster, own_cluster
from gdns_tf.training.replicas.watched import await_heartbeats, peers_watched
from pipelines.errors import InputError, StorageError
from pipelines.interactions import Interactions
from pipelines.notices import notices
from pipelines.shares import Share
from pipelines.streamed import StreamedInteractions

NONE, MIRRORED, MULTIWORKER = "none", "mirrored", "multiworker"
_TOLD = {kind.__name__: kind for kind in (InputError, StorageError, FloatingPointError)}
"""What is raised for the user's sake, and so in all processes."""


class Mirrored(Replicas):
    """A replica on each of the devices of this process."""

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        """Args:
        strategy: TensorFlow's.
        """
        self._strategy, self.count = strategy, strategy.num_replicas_in_sync
        self.local = range(self.count)

    def scope(self) -> contextlib.AbstractContextManager:
        return self._strategy.scope()

    def batches(
        self, of_share: Callable[[Share | None], tf.data.Dataset], train: Interactions | StreamedInteractions
    ) -> tf.data.Dataset:
        """Tuples: a batch for each replica of this process."""
        return tf.data.Dataset.zip(tuple(of_share(share) for share in self.shares(train)))

    def train_function(self, trainer: ScorerTrainer, steps: int) -> Callable[[Iterator], float]:
        (mean_loss,) = trainer.metrics

        def step(batches: tuple) -> None:
            number = tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group)
            trainer.train_step(batches[int(number) - self.local[0]])

        # A call a step: within one call the collectives of a place in the graph must all have the same shape, and the
        # gradients of users have as many rows as a step has users.
        @tf.function(autograph=needs_autograph(trainer))
        def train_step(batches: Iterator) -> None:
            self._strategy.run(step, args=(next(batches),))

        def trained(batches: Iterator) -> float:
            for _ in range(steps):
                train_step(batches)
            total, count = self._sum([float(variable) for variable in mean_loss.variables])
            return float(np.float32(total / count))

        return trained

    def _sum(self, values: list[float]) -> np.ndarray:
        """[n] float64: the sums of numbers over the processes."""
        return np.asarray(values, np.float64)


class Workers(Mirrored):
    """Processes of a cluster, each with a replica on each of its devices; all have the same number of them."""

    def __init__(self, strategy: tf.distribute.MultiWorkerMirroredStrategy, cluster: Cluster) -> None:
        """Args:
        strategy: TensorFlow's, of the cluster.
        cluster: the workers.
        """
        super().__init__(strategy)
        self.worker, self.workers = cluster.number, len(cluster.addresses)
        each = self.count // self.workers
        self.local = range(each * self.worker, each * (self.worker + 1))

    @functools.cached_property
    def _all_sum(self) -> Callable[[tf.Tensor], tf.Tensor]:
        def add(values: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            is_first = int(tf.get_static_value(context.replica_id_in_sync_group)) == self.local[0]
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(values) if is_first else 0 * values)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float64)], autograph=False)
        def all_sum(values: tf.Tensor) -> tf.Tensor:
            return self._strategy.experimental_local_results(self._strategy.run(add, args=(values,)))[0]

        return all_sum

    def _sum(self, values: list[float]) -> np.ndarray:
        return self._all_sum(np.asarray(values, np.float64)).numpy()

    def any(self, told: bool) -> bool:
        return bool(self._sum([float(told)])[0])

    def on_chief(self, function: Callable[[], Result]) -> Result:
        return self.everywhere(function if self.is_chief else lambda: None)[0]

    def everywhere(self, function: Callable[[], Result]) -> list[Result]:
        raised = None
        try:
            told = {"value": function()}
        except tuple(_TOLD.values()) as error:
            raised = error
            told = {"error": type(error).__name__, "text": str(error)}
        texts = self._texts(json.dumps(told))
        if raised:
            raise raised
        for worker, told in enumerate(map(json.loads, texts)):
            if "error" in told:
                kind = _TOLD.get(told["error"], InputError)
                raise kind(told["text"] if worker == 0 else f"worker {worker}: {told['text']}")
        return [json.loads(text)["value"] for text in texts]

    def _texts(self, text: str) -> list[str]:
        """The texts of all processes."""
        own = np.frombuffer(text.encode(), np.uint8)
        sizes = np.zeros(self.workers)
        sizes[self.worker] = len(own)
        sizes = self._sum(sizes).astype(int)
        room = np.zeros((self.workers, sizes.max()))
        room[self.worker, : len(own)] = own
        rows = self._sum(room.ravel()).reshape(room.shape).astype(np.uint8)
        return [row[:size].tobytes().decode() for row, size in zip(rows, sizes, strict=True)]

    def together(self) -> contextlib.AbstractContextManager:
        return peers_watched(self.worker, self.workers)


_joined: dict[str, Replicas] = {}


def join(strategy: str, heartbeat_seconds: float = 30.0) -> Replicas:
    """Those that train together by the setting `strategy`, the same at every call; of a cluster once all are there.

    Args:
      strategy: which.
      heartbeat_seconds: after how long a silent worker counts as lost.

    Raises:
      InputError: the environment names no cluster; or TensorFlow has worked before, after which it joins none.
      PeerLost: another worker is gone.
    """
    if strategy == NONE:
        return ALONE
    if strategy not in _joined:
        _joined[strategy] = _mirrored() if strategy == MIRRORED else _workers(heartbeat_seconds)
    return _joined[strategy]


def _mirrored() -> Replicas:
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        notices.info("`strategy`=mirrored: there is one device here, %s, and so one replica.", devices[0].name)
        return ALONE
    return Mirrored(tf.distribute.MirroredStrategy([device.name for device in devices]))


def _workers(heartbeat_seconds: float) -> Replicas:
    cluster = own_cluster()
    with peers_watched(cluster.number, len(cluster.addresses)):
        try:
            await_heartbeats(len(cluster.addresses), heartbeat_seconds)
            return Workers(tf.distribute.MultiWorkerMirroredStrategy(), cluster)
        except RuntimeError as error:
            raise InputError(
                f"this process cannot join the cluster any more ({str(error).splitlines()[0].rstrip('.')})",
                remedy="Train in a process of its own, before anything else that uses TensorFlow.",
            ) from None
