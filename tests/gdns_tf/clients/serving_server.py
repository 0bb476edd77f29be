"""A test server for SavedModels on TensorFlow Serving's own contracts: PredictionService, ModelService and REST.

The messages and services are those of tensorflow-serving-api; statuses and messages of errors follow TF Serving's
sources (`predict_util.cc`, `json_tensor.cc`, `basic_manager.cc`). It is no substitute for the product: no batching, no
warm-up, no TLS. Binds loopback only.
"""

import json
import re
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from serving_json import json_from_tensors, tensors_from_json
from serving_versions import Refusal, Versions
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

_HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_PREDICT = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?:predict")
_MODEL = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(/metadata)?")


class ModelServer:
    """Serves one model, on free ports of the loopback interface, while the `with` block lasts."""

    def __init__(
        self,
        base_path: Path,
        name: str = "gdns",
        *,
        config: model_server_config_pb2.ModelConfig | None = None,
        poll_seconds: float = 0.05,
        grpc_port: int = 0,
        rest_port: int = 0,
        threads: int = 16,
    ) -> None:
        """Args:
        base_path: the folder of version folders.
        name: the model's name.
        config: instead of `name`: an entry of a models.config; its base_path is replaced.
        poll_seconds: how often the folder is looked at.
        grpc_port, rest_port: 0 for a free one.
        threads: gRPC workers.
        """
        self._config = model_server_config_pb2.ModelConfig()
        self._config.CopyFrom(config or model_server_config_pb2.ModelConfig(name=name))
        self._config.base_path = str(base_path)
        self._poll_seconds, self._threads = poll_seconds, threads
        self._grpc_port, self._rest_port = grpc_port, rest_port
        self.hold = threading.Event()
        """While clear, predictions wait: a slow server."""
        self.hold.set()

    def __enter__(self) -> "ModelServer":
        self.versions = Versions(self._config, self._poll_seconds)
        self._grpc = grpc.server(
            futures.ThreadPoolExecutor(self._threads), options=[("grpc.so_reuseport", 0)], maximum_concurrent_rpcs=None
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_PredictionService(self), self._grpc)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(_ModelService(self), self._grpc)
        self.grpc_address = f"127.0.0.1:{self._grpc.add_insecure_port(f'127.0.0.1:{self._grpc_port}')}"
        self._grpc.start()
        self._http = _HttpServer(("127.0.0.1", self._rest_port), _RestHandler)
        self._http.model_server = self
        self._http_thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._http_thread.start()
        self.rest_address = f"http://127.0.0.1:{self._http.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self._http.shutdown()
        self._http.server_close()
        self._http_thread.join()
        self._grpc.stop(grace=1).wait()
        self.versions.close()

    def predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        with self.versions.lease(*_spec(request.model_spec)) as servable:
            name = request.model_spec.signature_name or "serving_default"
            signature = servable.signature(name)
            if signature is None:
                raise Refusal("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
            _check_names(set(request.inputs), set(signature.inputs))
            _check_filter(list(request.output_filter), set(signature.outputs))
            try:
                inputs = {alias: tf.make_ndarray(tensor) for alias, tensor in request.inputs.items()}
            except (TypeError, ValueError) as error:
                raise Refusal("INVALID_ARGUMENT", f"tensor parsing error: {error}") from None
            outputs = self.run(servable, name, inputs, list(request.output_filter) or list(signature.outputs))
            response = predict_pb2.PredictResponse()
            response.model_spec.name, response.model_spec.signature_name = request.model_spec.name, name
            response.model_spec.version.value = servable.version
            for alias, value in outputs.items():
                response.outputs[alias].CopyFrom(tf.make_tensor_proto(value))
            return response

    def run(self, servable: object, name: str, inputs: dict, outputs: list[str]) -> dict[str, np.ndarray]:
        assert self.hold.wait(30), "the test held the server for too long"
        return servable.run(name, inputs, outputs)

    def metadata(self, spec: model_pb2.ModelSpec) -> get_model_metadata_pb2.GetModelMetadataResponse:
        with self.versions.lease(*_spec(spec)) as servable:
            signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=servable.meta_graph.signature_def)
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.name, response.model_spec.version.value = spec.name, servable.version
            response.metadata["signature_def"].Pack(signatures)
            return response


class _HttpServer(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True
    model_server: ModelServer


class _RestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 10

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, handle: object) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        try:
            status, answer = 200, handle(body)
        except Refusal as refusal:
            status, answer = _HTTP_STATUS.get(refusal.code, 500), json.dumps({"error": refusal.message})
        data = answer.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _get(self, _: bytes) -> str:
        match = _MODEL.fullmatch(self.path)
        if not match:
            raise Refusal("INVALID_ARGUMENT", f"Malformed request: GET {self.path}")
        server, spec = self.server.model_server, _parsed_spec(match)
        if match[4]:
            return json_format.MessageToJson(server.metadata(spec), always_print_fields_with_no_presence=True)
        name, version, _ = _spec(spec)
        response = server.versions.status(name, version)
        return json_format.MessageToJson(
            response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )

    def _post(self, data: bytes) -> str:
        match = _PREDICT.fullmatch(self.path)
        if not match:
            raise Refusal("INVALID_ARGUMENT", f"Malformed request: POST {self.path}")
        try:
            body = json.loads(data)
        except ValueError as error:
            raise Refusal("INVALID_ARGUMENT", f"JSON Parse error: {error}") from None
        if not isinstance(body, dict):
            raise Refusal("INVALID_ARGUMENT", f"JSON Value: {body!r} Is not object")
        name = body.get("signature_name", "serving_default")
        if not isinstance(name, str):
            raise Refusal("INVALID_ARGUMENT", "'signature_name' key must be a string value.")
        server = self.server.model_server
        with server.versions.lease(*_spec(_parsed_spec(match))) as servable:
            signature = servable.signature(name)
            if signature is None:
                raise Refusal("INVALID_ARGUMENT", f'Serving signature name: "{name}" not found in signature def')
            inputs, rows = tensors_from_json(body, dict(signature.inputs))
            outputs = server.run(servable, name, inputs, list(signature.outputs))
        return json.dumps(json_from_tensors(outputs, rows))


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, server: ModelServer) -> None:
        self._server = server

    def Predict(self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext):
        return _or_abort(context, self._server.predict, request)

    def GetModelMetadata(self, request, context: grpc.ServicerContext):
        return _or_abort(context, self._server.metadata, request.model_spec)


class _ModelService(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, server: ModelServer) -> None:
        self._server = server

    def GetModelStatus(self, request: get_model_status_pb2.GetModelStatusRequest, context):
        name, version, _ = _spec(request.model_spec)
        return _or_abort(context, self._server.versions.status, name, version)


def _or_abort(context: grpc.ServicerContext, handle: object, *arguments: object) -> object:
    try:
        return handle(*arguments)
    except Refusal as refusal:
        context.abort(getattr(grpc.StatusCode, refusal.code), refusal.message)


def _spec(spec: model_pb2.ModelSpec) -> tuple[str, int | None, str]:
    if not spec.name:
        raise Refusal("INVALID_ARGUMENT", "ModelSpec has no name specified.")
    return spec.name, spec.version.value if spec.HasField("version") else None, spec.version_label


def _parsed_spec(match: re.Match) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=unquote(match[1]))
    if match[2]:
        spec.version.value = int(match[2])
    elif match[3]:
        spec.version_label = unquote(match[3])
    return spec


def _check_names(sent: set[str], wanted: set[str]) -> None:
    if sent != wanted:
        raise Refusal(
            "INVALID_ARGUMENT",
            f"input size does not match signature: {len(sent)}!={len(wanted)} len({{{','.join(sorted(sent))}}}) != "
            f"len({{{','.join(sorted(wanted))}}}). Sent extra: {{{','.join(sorted(sent - wanted))}}}. "
            f"Missing but required: {{{','.join(sorted(wanted - sent))}}}.",
        )


def _check_filter(outputs: list[str], known: set[str]) -> None:
    for alias in outputs:
        if alias not in known:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {{{','.join(sorted(known))}}}.",
            )
