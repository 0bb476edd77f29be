"""One loaded version of a model."""

import gdns_tf.keras2  # noqa: F401 (TensorFlow without its noise, so before all that import it)

# isort: split
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from gdns_tf.server.refusal import Refusal, invalid

DEFAULT_SIGNATURE = "serving_default"
SESSION_OPTIONS = config_pb2.ConfigProto()
"""Of every session that is made."""
_STATUS_NAMES = {value: name for name, value in vars(tf.errors).items() if name.isupper() and isinstance(value, int)}


class Servable:
    """A SavedModel that answers by TensorFlow's C++ session, which is what TensorFlow Serving runs.

    So it checks the dtypes of inputs, but not their shapes: these are the graph's affair. Safe to use from several
    threads, until it is closed.
    """

    def __init__(self, path: Path, version: int, on_run: Callable[[float], None] = lambda microseconds: None) -> None:
        """Args:
        path: a version folder of this machine; it is needed no more afterwards.
        version: its number.
        on_run: is told how long each run took.
        """
        self.version, self._on_run = version, on_run
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=SESSION_OPTIONS)
        try:
            with self._session.graph.as_default():
                loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(path))
        except BaseException:
            self._session.close()
            raise
        self.signatures: Mapping[str, meta_graph_pb2.SignatureDef] = dict(loaded.signature_def)
        """Name -> signature. A protocol buffer's own map would not be asked for a name that is no Unicode."""
        self._callables: dict[str, tuple[Callable, list[str], list[str]]] = {}
        self._lock = threading.Lock()

    def run(self, name: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
          name: of a signature that there is.
          inputs: exactly its inputs, by their names there; strings as `object` arrays of bytes.
          outputs: those to return.

        Raises:
          Refusal: TensorFlow does not accept the inputs, or fails.
        """
        call, order, fetched = self._callable(name)
        for number, alias in enumerate(order):
            wanted = tf.dtypes.as_dtype(self.signatures[name].inputs[alias].dtype)
            given = tf.dtypes.as_dtype(inputs[alias].dtype)
            if given != wanted:  # DirectSession says it so; NumPy arrays of strings would reach it converted
                raise invalid(f"Expects arg[{number}] to be {wanted.name} but {given.name} is provided: {alias}")
        began = time.perf_counter()
        try:
            values = dict(zip(fetched, call(*(inputs[alias] for alias in order)), strict=True))
        except tf.errors.OpError as error:
            raise Refusal(*status_of(error)) from None
        self._on_run(1e6 * (time.perf_counter() - began))
        return {alias: values[alias] for alias in outputs}

    def close(self) -> None:
        """Gives the memory back; nothing may be running."""
        self._callables.clear()
        self._session.close()

    def _callable(self, name: str) -> tuple[Callable, list[str], list[str]]:
        """What runs a signature, and the order of its inputs and outputs."""
        with self._lock:
            if name not in self._callables:
                signature = self.signatures[name]
                inputs, outputs = sorted(signature.inputs), sorted(signature.outputs)
                options = config_pb2.CallableOptions(
                    feed=[signature.inputs[alias].name for alias in inputs],
                    fetch=[signature.outputs[alias].name for alias in outputs],
                )
                # Runs in the thread of the request: a third less work than handing parts of it to other threads.
                options.run_options.inter_op_thread_pool = -1
                # The public `make_callable` goes, with feeds, by `run`: slower, and it checks shapes in its own way.
                self._callables[name] = self._session._make_callable_from_options(options), inputs, outputs
            return self._callables[name]


def status_of(error: BaseException) -> tuple[str, str]:
    """gRPC's name of a status, such as INVALID_ARGUMENT, and the message, of any error."""
    if isinstance(error, Refusal):
        return error.code, error.message
    if isinstance(error, tf.errors.OpError):
        return _STATUS_NAMES.get(error.error_code, "UNKNOWN"), error.message
    return "UNKNOWN", str(error) or type(error).__name__
