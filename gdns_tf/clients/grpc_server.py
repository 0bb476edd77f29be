"""TensorFlow Serving by gRPC: `tensorflow.serving.PredictionService`."""

import gdns_tf.keras2  # noqa: F401 (TensorFlow without its noise, so before all that import it)

# isort: split
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from gdns_tf.clients.backend import Backend, ModelSpec, check_outputs, text_decoded
from gdns_tf.clients.errors import DeadlineExceeded, InvalidRequest, NotFound, ServingError, Unavailable
from gdns_tf.clients.retries import call_with_retries

try:
    import grpc
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
except ImportError as error:
    raise ServingError(
        f"gRPC needs tensorflow-serving-api ({error}). Install it by: pip install 'gdns_tf[serving]', "
        "or use the server's REST address (http://host:8501)."
    ) from error

_ERRORS = {
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.FAILED_PRECONDITION: InvalidRequest,  # what an unknown signature is to TF Serving
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
}
_OPTIONS = {
    # Answers to large batches go beyond gRPC's 4 MB.
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    # A server that comes back is met by the next attempt, not up to two minutes later.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
}


class GrpcServer(Backend):
    """A model on a server's gRPC port."""

    def __init__(self, address: str, model: ModelSpec, timeout: float) -> None:
        """Args:
        address: `host:port`; TF Serving's port is 8500 unless set.
        model: which model.
        timeout: seconds for a call, with all its attempts.
        """
        self._address, self._model, self._timeout = address, model, timeout
        self._channel = grpc.insecure_channel(address, options=list(_OPTIONS.items()))
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def call(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = self._model.name, signature
        if self._model.version is not None:
            request.model_spec.version.value = self._model.version
        if self._model.label:
            request.model_spec.version_label = self._model.label
        for name, value in inputs.items():
            dtype = tf.string if value.dtype == object else value.dtype
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value, dtype, value.shape))
        response = call_with_retries(lambda left: self._attempt(request, left), self._timeout)
        check_outputs(response.outputs, outputs, signature)
        return {name: text_decoded(tf.make_ndarray(response.outputs[name])) for name in outputs}

    def close(self) -> None:
        self._channel.close()

    def _attempt(self, request: "predict_pb2.PredictRequest", seconds: float) -> "predict_pb2.PredictResponse":
        try:
            return self._stub.Predict(request, timeout=seconds)
        except grpc.RpcError as error:
            kind = _ERRORS.get(error.code(), ServingError)
            where = f"{self._address}, {self._model}"
            if kind is DeadlineExceeded:
                raise kind(f"{where}: no answer within {self._timeout:g} s") from error
            raise kind(f"{where}: {error.details()} ({error.code().name})") from error
