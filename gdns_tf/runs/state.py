"""How far a run is and the best it has found: what early stopping and resuming go by."""

from collections.abc import Sequence

import tensorflow as tf


class RunState(tf.Module):
    """Epochs done, the best validation and its weights; checkpointed with the run."""

    def __init__(self, weights: Sequence[tf.Variable], data_fingerprint: str) -> None:
        super().__init__(name="run_state")
        self.data_fingerprint = tf.Variable(data_fingerprint, trainable=False)
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self.best_value = tf.Variable(-1.0, dtype=tf.float64, trainable=False)
        self.best_epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.validations_since_best = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.history = tf.Variable("", dtype=tf.string, trainable=False)
        """The text of `history.csv`, so that it can be made again."""
        self.best_weights = [tf.Variable(w, trainable=False) for w in weights]

    def validated(self, value: float, weights: Sequence[tf.Variable]) -> bool:
        """Notes a validation at the present epoch; returns whether it is the best yet."""
        if value <= self.best_value.numpy():
            self.validations_since_best.assign_add(1)
            return False
        self.best_value.assign(value)
        self.validations_since_best.assign(0)
        self.keep(weights)
        return True

    def keep(self, weights: Sequence[tf.Variable]) -> None:
        """Keeps weights as the best, of the present epoch."""
        self.best_epoch.assign(self.epoch)
        for best, weight in zip(self.best_weights, weights, strict=True):
            best.assign(weight)
