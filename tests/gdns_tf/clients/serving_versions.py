"""The version manager of the test server: which SavedModels of a model's folder are loaded, and who is using them.

As TensorFlow Serving's file-system source, aspired-versions manager and Session bundle do it: version folders are those
named by a number, a new version is loaded before the old one is let go, and the old one is closed only when its last
request has been answered.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.config import model_server_config_pb2

State = get_model_status_pb2.ModelVersionStatus.State


class Refusal(Exception):
    """A status other than OK, by its gRPC name, with the message that the client gets."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Servable:
    """One loaded version. Runs by the C++ session: like TF Serving it checks dtypes of inputs, but not their shapes."""

    def __init__(self, path: Path) -> None:
        self.version = int(path.name)
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            self.meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], str(path))
        self._callables = {}
        self._lock = threading.Lock()
        self.users = 0
        self.unwanted = False

    def signature(self, name: str) -> meta_graph_pb2.SignatureDef | None:
        return self.meta_graph.signature_def.get(name)

    def run(self, name: str, inputs: Mapping[str, np.ndarray], outputs: list[str]) -> dict[str, np.ndarray]:
        signature = self.signature(name)
        call, order = self._callable(name)
        for alias in order:
            wanted = tf.dtypes.as_dtype(signature.inputs[alias].dtype)
            given = tf.dtypes.as_dtype(inputs[alias].dtype)
            if given != wanted:  # DirectSession says it so; NumPy arrays of strings would reach it converted
                raise Refusal("INVALID_ARGUMENT", f"Expects {alias} to be {wanted.name} but {given.name} is provided")
        try:
            values = call(*(inputs[alias] for alias in order))
        except tf.errors.OpError as error:
            raise Refusal(error_name(error), error.message) from None
        return {alias: value for alias, value in zip(signature.outputs, values, strict=True) if alias in outputs}

    def _callable(self, name: str) -> tuple:
        with self._lock:
            if name not in self._callables:
                signature = self.signature(name)
                options = config_pb2.CallableOptions(
                    feed=[info.name for info in signature.inputs.values()],
                    fetch=[info.name for info in signature.outputs.values()],
                )
                self._callables[name] = self._session._make_callable_from_options(options), list(signature.inputs)
            return self._callables[name]

    def close(self) -> None:
        self._callables.clear()
        self._session.close()


def error_name(error: tf.errors.OpError) -> str:
    """INVALID_ARGUMENT and so on, of a TensorFlow error."""
    codes = {value: name for name, value in vars(tf.errors).items() if name.isupper() and isinstance(value, int)}
    return codes.get(error.error_code, "UNKNOWN")


def model_config(text: str) -> model_server_config_pb2.ModelConfig:
    """The single model of a models.config."""
    (config,) = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    return config


class Versions:
    """The versions of one model: polled for, loaded, leased to requests, closed when drained."""

    def __init__(self, config: model_server_config_pb2.ModelConfig, poll_seconds: float) -> None:
        self.config = config
        self._loaded: dict[int, Servable] = {}
        self._failed: dict[int, str] = {}
        self._changed = threading.Condition()
        self._polling = threading.Lock()
        self._stop = threading.Event()
        self.poll()
        self._poller = threading.Thread(target=self._poll_forever, args=(poll_seconds,), daemon=True)
        self._poller.start()

    def poll(self) -> None:
        """Looks at the folder once: loads what is wanted and new, then lets go what is wanted no more."""
        with self._polling:
            self._poll()

    def reload(self, config: model_server_config_pb2.ModelConfig) -> None:
        """Follows another configuration of the same folder, as after HandleReloadConfigRequest."""
        old, self.config = self.config, model_server_config_pb2.ModelConfig()
        self.config.CopyFrom(config)
        self.config.base_path = old.base_path
        self.poll()
        for version in config.version_labels.values():
            if version not in self._loaded:
                self.config = old
                raise Refusal(
                    "FAILED_PRECONDITION",
                    f"Request to assign label to version {version} of model {config.name}, "
                    "which is not currently available for inference",
                )

    def wait_for(self, version: int, seconds: float = 30) -> None:
        """Returns when the version is loaded."""
        with self._changed:
            assert self._changed.wait_for(lambda: version in self._loaded, seconds), f"version {version} never came"

    @contextlib.contextmanager
    def lease(self, name: str, version: int | None, label: str) -> Iterator[Servable]:
        """The servable of a request, kept open until the block ends."""
        with self._changed:
            servable = self._find(name, version, label)
            servable.users += 1
        try:
            yield servable
        finally:
            with self._changed:
                servable.users -= 1
                drained = servable.unwanted and servable.users == 0
            if drained:
                servable.close()

    def status(self, name: str, version: int | None) -> get_model_status_pb2.GetModelStatusResponse:
        with self._changed:
            states = dict.fromkeys(self._loaded, (State.AVAILABLE, 0, ""))
        states |= {number: (State.END, 2, message) for number, message in self._failed.items()}
        if name != self.config.name or not states:
            raise Refusal("NOT_FOUND", f"Could not find any versions of model {name}")
        if version is not None and version not in states:
            raise Refusal("NOT_FOUND", f"Could not find version {version} of model {name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for number in sorted(states) if version is None else [version]:
            state, code, message = states[number]
            entry = response.model_version_status.add(version=number, state=state)
            entry.status.error_code, entry.status.error_message = code, message
        return response

    def close(self) -> None:
        self._stop.set()
        self._poller.join()
        for servable in self._loaded.values():
            servable.close()

    def _poll(self) -> None:
        wanted = self._aspired()
        for version, path in wanted.items():
            if version not in self._loaded and version not in self._failed:
                try:
                    servable = Servable(path)
                except Exception as error:  # a broken version must not take the server down; its status tells
                    self._failed[version] = str(error)
                    continue
                with self._changed:
                    self._loaded[version] = servable
                    self._changed.notify_all()
        if any(version in self._loaded for version in wanted):
            for version in [version for version in self._loaded if version not in wanted]:
                with self._changed:
                    servable = self._loaded.pop(version)
                    servable.unwanted = True
                    drained = servable.users == 0
                if drained:
                    servable.close()

    def _aspired(self) -> dict[int, Path]:
        folders = {int(p.name): p for p in Path(self.config.base_path).iterdir() if p.is_dir() and p.name.isdecimal()}
        policy = self.config.model_version_policy
        kind = policy.WhichOneof("policy_choice") or "latest"
        if kind == "specific":
            return {version: folders[version] for version in policy.specific.versions if version in folders}
        newest_first = sorted(folders, reverse=True)
        if kind == "latest":
            newest_first = newest_first[: max(policy.latest.num_versions, 1)]
        return {version: folders[version] for version in newest_first}

    def _find(self, name: str, version: int | None, label: str) -> Servable:
        if label:
            if label not in self.config.version_labels:
                raise Refusal("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
            version = self.config.version_labels[label]
        if name == self.config.name and self._loaded:
            if version is None:
                return self._loaded[max(self._loaded)]
            if version in self._loaded:
                return self._loaded[version]
        wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        raise Refusal("NOT_FOUND", f"Servable not found for request: {wanted}")

    def _poll_forever(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            self.poll()
