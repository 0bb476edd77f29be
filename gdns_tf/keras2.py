"""TensorFlow, imported without its noise and with Keras 2; to be imported before anything uses `tf.keras`."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def _native_stderr_held_back() -> Iterator[None]:
    """Keeps what native code writes to file descriptor 2, and shows it only if the block fails.

    TensorFlow writes several lines at import whatever the log level says.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)


def _require_keras_2() -> None:
    """Raises ImportError if `tf.keras` was already bound to Keras 3."""
    with _native_stderr_held_back():
        import tensorflow as tf
        import tf_keras

        is_keras_2 = issubclass(tf.keras.Model, tf_keras.Model)
    if not is_keras_2:
        raise ImportError(
            "gdns_tf needs Keras 2 (tf_keras), but tf.keras is already Keras 3 in this process. "
            "Import gdns_tf before tensorflow.keras is used, or set TF_USE_LEGACY_KERAS=1 in the environment."
        )


_require_keras_2()
