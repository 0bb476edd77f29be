"""TensorFlow Serving by gRPC: `tensorflow.serving.PredictionService`."""

import gdns_tf.keras2  # noqa: F401 (TensorFlow without its noise, so before all that import it)

# isort: split
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import tensor_pb2

from gdns_tf.clients.access import Access
from gdns_tf.clients.address import grpc_address
from gdns_tf.clients.backend import Backend, Limits, ModelSpec, check_outputs, text_decoded
from gdns_tf.clients.errors import (
    AccessDenied,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    ServingError,
    Unavailable,
    printable,
)
from gdns_tf.clients.retries import RetryBudget, call_with_retries
from gdns_tf.serving.tensor_protos import array_from_proto

try:
    import grpc
    from tensorflow_serving.apis import predict_pb2
except ImportError as error:
    raise ServingError(
        f"gRPC needs tensorflow-serving-api ({error}). Install it by: pip install 'gdns_tf[serving]', "
        "or use the server's REST address (http://host:8501)."
    ) from error

_METHOD = "/tensorflow.serving.PredictionService/Predict"
_ERRORS = {
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.CANCELLED: Unavailable,  # by a server that ends: nobody else cancels
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.FAILED_PRECONDITION: InvalidRequest,  # what an unknown signature is to TF Serving
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
    grpc.StatusCode.UNAUTHENTICATED: AccessDenied,
    grpc.StatusCode.PERMISSION_DENIED: AccessDenied,
}
_OPTIONS = {
    # Requests for many users go beyond gRPC's 4 MB; whether a server takes them is its affair.
    "grpc.max_send_message_length": -1,
    # A server that comes back is met by the next attempt, not up to two minutes later.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
    # To the address that was given, and not to a proxy that the environment names.
    "grpc.enable_http_proxy": 0,
}


class GrpcServer(Backend):
    """A model on a server's gRPC port."""

    def __init__(
        self, address: str, model: ModelSpec, limits: Limits | None = None, access: Access | None = None
    ) -> None:
        """Args:
        address: `host:port`, or `grpcs://host:port` for TLS; TF Serving's port is 8500 unless set.
        model: which model.
        limits: of time and size.
        access: certificates and a token, for grpcs:// alone.

        Raises:
          InputError: the address is none.
          ServingError: a file of `access` is not what it should be.
        """
        where, access = grpc_address(address), access or Access()
        access.require_tls(where.tls)
        self._address, self._model, self._access = where.target, model, access
        self._limits, self._budget = limits or Limits(), RetryBudget()
        options = list((_OPTIONS | {"grpc.max_receive_message_length": self._limits.answer_bytes}).items())
        if where.tls:
            self._channel = grpc.secure_channel(where.target, _credentials(access), options=options)
        else:
            self._channel = grpc.insecure_channel(where.target, options=options)
        # Bytes come back: gRPC would log a traceback for those that are no message.
        self._predict = self._channel.unary_unary(_METHOD, predict_pb2.PredictRequest.SerializeToString)

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
        data = call_with_retries(lambda left: self._attempt(request, left), self._limits.timeout, self._budget)
        try:
            response = predict_pb2.PredictResponse.FromString(data)
        except DecodeError:
            raise ServingError(f"{self._address}: the answer is not TensorFlow Serving's: is that its port?") from None
        check_outputs(response.outputs, outputs, signature)
        return {name: self._array(response.outputs[name], name) for name in outputs}

    def close(self) -> None:
        self._channel.close()

    def _array(self, proto: tensor_pb2.TensorProto, name: str) -> np.ndarray:
        try:
            return text_decoded(array_from_proto(proto), name)
        except ValueError as error:
            raise ServingError(f"{self._address}: output {name!r} is no tensor: {printable(error)}") from None

    def _attempt(self, request: "predict_pb2.PredictRequest", seconds: float) -> bytes:
        metadata = list(self._access.headers().items())
        try:
            return self._predict(request, timeout=seconds, metadata=metadata)
        except grpc.RpcError as error:
            raise self._failure(error.code(), str(error.details())) from error
        except ValueError as error:  # of a channel that is closed
            raise ServingError(f"{self._address}: {error}") from error

    def _failure(self, code: grpc.StatusCode, details: str) -> ServingError:
        kind, where = _ERRORS.get(code, ServingError), f"{self._address}, {self._model}"
        if kind is DeadlineExceeded:
            return kind(f"{where}: no answer within {self._limits.timeout:g} s")
        if kind is Unavailable and "CERTIFICATE_VERIFY_FAILED" in details:
            return ServingError(f"{where}: its certificate is not trusted")
        told = f"{where}: {printable(details)} ({code.name})"
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            told += f": ask for fewer at a time. Answers may have {self._limits.max_answer_mb:g} MB (`max_answer_mb`)"
        return kind(told)


def _credentials(access: Access) -> grpc.ChannelCredentials:
    access.ssl_context()  # says what is wrong with the files, which gRPC does not

    def read(path: str) -> bytes | None:
        return Path(path).read_bytes() if path else None

    certificate = read(access.cert_file)
    return grpc.ssl_channel_credentials(read(access.ca_file), read(access.key_file) or certificate, certificate)
