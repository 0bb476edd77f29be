"""What every trainer of a scorer shares."""

from abc import abstractmethod
from collections.abc import Callable, Iterator

import tensorflow as tf

from gdns_tf.models import stateless
from gdns_tf.models.batch_histories import BatchHistories
from gdns_tf.models.scorer import Scorer
from gdns_tf.training.conversion import needs_autograph


class ScorerTrainer(tf.keras.Model):
    """A Keras model around a scorer: its scores, a mean loss, and the seeds of its dropout. Subclasses train a step."""

    batch_histories: BatchHistories | None = None
    """Of streamed data: what answers from the batch in hand."""

    def __init__(self, scorer: Scorer, *, dropout: float, seed: int) -> None:
        """Args:
        scorer: gives the scores.
        dropout: share of the latent factors hidden in training.
        seed: of what is hidden, and of whatever else a step draws.
        """
        super().__init__(name="trainer")
        self.scorer = scorer
        self._dropout, self._seed = dropout, seed
        self._mean_loss = tf.keras.metrics.Mean(name="loss")

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return [self._mean_loss]

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """The scorer's scores."""
        return self.scorer(inputs)

    def train_step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """`step`, which draws the same whether it is compiled or not."""
        self.take(data)
        with stateless.for_xla(bool(self.jit_compile)):
            return self.step(data)

    def make_train_function(self, force: bool = False) -> Callable[[Iterator], dict[str, tf.Tensor]]:
        """As Keras's; but of `steps_per_execution` steps, one is traced, where Keras traces two.

        Keras returns what the last of them returned, and needs another to know of what shape that is. Here it is the
        metrics, which say the same.
        """
        if self.run_eagerly or self.distribute_strategy.num_replicas_in_sync > 1:
            return super().make_train_function(force)
        if self.train_function is None or force:
            convert = needs_autograph(self)
            step = self.train_step
            if self.jit_compile:
                step = tf.function(step, jit_compile=True, autograph=convert)

            @tf.function(reduce_retracing=True, autograph=convert)
            def train_steps(batches: Iterator) -> dict[str, tf.Tensor]:
                def train(number: tf.Tensor) -> tf.Tensor:
                    step(next(batches))
                    return self._train_counter.assign_add(1) - before

                before, count = self._train_counter.read_value(), self._steps_per_execution.read_value()
                tf.while_loop(lambda number: number < count, train, [tf.zeros_like(before)])
                return {metric.name: metric.result() for metric in self.metrics}

            self.train_function = self.train_tf_function = train_steps
        return self.train_function

    @abstractmethod
    def step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step on one batch of users.

        Args:
          data: the batch.

        Returns:
          {"loss"}: the mean loss, without regularisation, since the metrics were last reset.
        """

    # Keras would track it as if it were a layer.
    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def answer_from_batches(self, histories: BatchHistories) -> None:
        """Has each batch that is trained on answer for what its users have.

        Args:
          histories: those that the scorer and the rest were built with.
        """
        self.batch_histories = histories

    def take(self, batch: dict) -> None:
        """Takes a batch in hand, before anything is asked about its users."""
        if self.batch_histories is not None:
            self.batch_histories.take(batch)

    def mask_seed(self, step: tf.Tensor) -> tf.Tensor:
        """[2] int64: the seed of what a step [] hides."""
        return of_replica(tf.stack([tf.constant(self._seed, tf.int64), step]))


def of_replica(seed: tf.Tensor) -> tf.Tensor:
    """Another seed [2] int64 in each replica, where there are several."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1 or tf.distribute.in_cross_replica_context():
        return seed
    number = tf.distribute.get_replica_context().replica_id_in_sync_group
    return stateless.fold_in(seed, number)
