"""TensorFlow Serving's gRPC services, on its own stubs (`prediction_service_impl.cc`, `model_service_impl.cc`)."""

import time
from collections.abc import Callable
from typing import NoReturn

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from gdns_tf.server.metadata import metadata
from gdns_tf.server.metrics import Metrics
from gdns_tf.server.models import Models
from gdns_tf.server.predict import predict
from gdns_tf.server.refusal import Refusal, invalid
from pipelines.notices import notices


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; Classify, Regress and MultiInference are UNIMPLEMENTED."""

    def __init__(self, models: Models, metrics: Metrics) -> None:
        self._models, self._metrics = models, metrics

    def Predict(
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        began, name, status = time.perf_counter(), request.model_spec.name, "OK"
        try:
            _check_awaited(context)
            with self._models.lease(_spec_of(request)) as servable:
                return predict(servable, request)
        except Refusal as refusal:
            status = refusal.code
            _abort(context, refusal)
        except Exception as error:
            status = "INTERNAL"
            _abort(context, _bug("Predict", error))
        finally:
            name = name if name in self._models else ""  # whatever clients make up must not fill the memory
            self._metrics.request_count.add(name, status)
            if status == "OK":
                self._metrics.request_latency.add(1e6 * (time.perf_counter() - began), name, "Predict", "GRPC")

    def GetModelMetadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        def answer() -> get_model_metadata_pb2.GetModelMetadataResponse:
            with self._models.lease(_spec_of(request)) as servable:
                return metadata(servable, request)

        return _answered(context, answer)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        return _answered(context, lambda: self._models.status(_spec_of(request)))

    def HandleReloadConfigRequest(
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> model_management_pb2.ReloadConfigResponse:
        def answer() -> model_management_pb2.ReloadConfigResponse:
            if request.config.WhichOneof("config") != "model_config_list":
                raise invalid(
                    "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                    "Only ModelConfigList is currently supported"
                )
            self._models.reload(request.config)
            return model_management_pb2.ReloadConfigResponse()

        return _answered(context, answer)


class HealthService(health_pb2_grpc.HealthServicer):
    """gRPC's health service: SERVING where every model has a version that answers. Watch is UNIMPLEMENTED."""

    NAMES = (
        "",
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "PredictionService",  # TensorFlow Serving's names for them
        "ModelService",
    )

    def __init__(self, models: Models) -> None:
        self._models = models

    def Check(
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        if request.service not in self.NAMES:
            _abort(context, Refusal("NOT_FOUND", f"there is no service {request.service!r}"))
        states = health_pb2.HealthCheckResponse
        return states(status=states.SERVING if self._models.are_ready() else states.NOT_SERVING)


class Readable(grpc.ServerInterceptor):
    """Refuses bytes that are no message: gRPC itself answers INTERNAL, and writes a traceback into the log."""

    _UNREADABLE = object()

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        def read(data: bytes) -> object:
            try:
                return handler.request_deserializer(data)
            except DecodeError:
                return self._UNREADABLE

        def answer(request: object, context: grpc.ServicerContext) -> object:
            if request is self._UNREADABLE:
                _abort(context, invalid(f"the request is no message of {details.method}"))
            return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(answer, read, handler.response_serializer)


def add_services(server: grpc.Server, models: Models, metrics: Metrics) -> None:
    """Adds all services to a server."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(models, metrics), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(models), server)
    health_pb2_grpc.add_HealthServicer_to_server(HealthService(models), server)


def _spec_of(request: object) -> model_pb2.ModelSpec:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


def _check_awaited(context: grpc.ServicerContext) -> None:
    """Refuses what nobody waits for any more: the request may have stood in the queue for longer than its deadline."""
    left = context.time_remaining()
    if left is not None and left <= 0:
        raise Refusal("DEADLINE_EXCEEDED", "the deadline was over before there was a thread for the request")
    if not context.is_active():
        raise Refusal("CANCELLED", "the client waits no more")


def _answered(context: grpc.ServicerContext, answer: Callable[[], object]) -> object:
    try:
        return answer()
    except Refusal as refusal:
        _abort(context, refusal)
    except Exception as error:
        _abort(context, _bug("ModelService", error))


def _abort(context: grpc.ServicerContext, refusal: Refusal) -> NoReturn:
    context.abort(getattr(grpc.StatusCode, refusal.code, grpc.StatusCode.UNKNOWN), refusal.message)


def _bug(where: str, error: Exception) -> Refusal:
    notices.exception("gRPC: %s: %r", where, error)
    return Refusal("INTERNAL", f"{type(error).__name__}: {error}")
