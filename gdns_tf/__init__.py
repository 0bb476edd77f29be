"""GDNS: gain-tuning dynamic negative sampling for implicit-feedback recommendation in TensorFlow."""

import os

# TensorFlow Recommenders needs Keras 2, which `tf.keras` is only if this is set before its first use.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

__version__ = "0.1.0"


def _require_keras_2() -> None:
    """Raises ImportError if `tf.keras` was already bound to Keras 3."""
    import tensorflow as tf
    import tf_keras

    if not issubclass(tf.keras.Model, tf_keras.Model):
        raise ImportError(
            "gdns_tf needs Keras 2 (tf_keras), but tf.keras is already Keras 3 in this process. "
            "Import gdns_tf before tensorflow.keras is used, or set TF_USE_LEGACY_KERAS=1 in the environment."
        )


_require_keras_2()
