"""gRPC by the genuine stubs of tensorflow-serving-api and of gRPC's health service."""

import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from serving_folder import serving
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tiny_models import publish

from gdns_tf.server.model_server import Limits
from gdns_tf.server.servable import Servable
from gdns_tf.serving.tensor_protos import array_from_proto, proto_from_array


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield channel


def predict(channel, inputs, signature="", name="tiny", output_filter=(), timeout=30):
    request = predict_pb2.PredictRequest(output_filter=output_filter)
    request.model_spec.name, request.model_spec.signature_name = name, signature
    for alias, value in inputs.items():
        is_proto = isinstance(value, tensor_pb2.TensorProto)
        request.inputs[alias].CopyFrom(value if is_proto else tf.make_tensor_proto(value))
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=timeout)


def refused(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    return caught.value.code().name, caught.value.details()


def test_predict(channel):
    answer = predict(channel, {"x": np.array([1, 7.5, -1], np.float32)})
    assert (answer.model_spec.name, answer.model_spec.signature_name) == ("tiny", "serving_default")
    assert answer.model_spec.version.value == 2
    np.testing.assert_allclose(answer.outputs["log"].float_val, [0, np.log(7.5), np.nan], rtol=1e-6)
    assert list(answer.outputs["version"].int_val) == [2, 2, 2]
    answer = predict(channel, {"a": ["é", "b"], "b": [b"\xff", b""]}, "join", output_filter=["text"])
    assert list(answer.outputs) == ["text"]
    assert list(answer.outputs["text"].string_val) == ["é".encode() + b"\xff", b"b"]


X = np.ones(1, np.float32)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (({"x": X}, "no"), "FAILED_PRECONDITION", 'Serving signature key "no" not found.'),
        (({"x": X}, "", "no"), "NOT_FOUND", "Servable not found for request: Latest(no)"),
        (({"x": X}, "", ""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (({},), "INVALID_ARGUMENT", "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. "
         "Missing but required: {x}."),
        (({"x": X, "z": X},), "INVALID_ARGUMENT", "Sent extra: {z}. Missing but required: {}."),
        (({"x": np.ones(1)},), "INVALID_ARGUMENT", "Expects arg[0] to be float32 but float64 is provided"),
        (({"x": np.array([b"1"], object)},), "INVALID_ARGUMENT", "Expects arg[0] to be float32 but string is provided"),
        (({"x": X}, "", "tiny", ["y"]), "INVALID_ARGUMENT", "output tensor alias not found in signature: y"),
        (({"x": X}, "", "tiny", ["log", "log"]), "INVALID_ARGUMENT", "duplicate output tensor alias: log"),
    ],
)  # fmt: skip
def test_statuses_and_messages(channel, arguments, code, message):
    found, details = refused(predict, channel, *arguments)
    assert found == code
    assert message in details


def test_tensors_that_are_not_what_they_say(channel):
    short = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, tensor_content=b"123")
    short.tensor_shape.dim.add(size=4)
    vast = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[1.0])
    for size in (1 << 20, 1 << 20):
        vast.tensor_shape.dim.add(size=size)
    negative = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[1.0])
    negative.tensor_shape.dim.add(size=-1)
    for tensor in (short, vast, negative, tensor_pb2.TensorProto()):
        code, details = refused(predict, channel, {"x": tensor})
        assert code == "INVALID_ARGUMENT", details
        assert "tensor parsing error: x" in details


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64", "bool", "float16"]
)
def test_arrays_come_back_from_tensorflows_own_reader(dtype):
    for shape in ((), (0, 3), (2, 3)):
        array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
        for read in (tf.make_ndarray, array_from_proto):
            found = read(proto_from_array(array))
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found, array)


def test_status_and_metadata(channel):
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    assert refused(models.GetModelStatus, request) == ("INVALID_ARGUMENT", "Missing ModelSpec")
    request.model_spec.name = "tiny"
    (state,) = models.GetModelStatus(request).model_version_status
    assert (state.version, state.state, state.status.error_code) == (2, state.State.AVAILABLE, 0)
    request.model_spec.version.value = 5
    assert refused(models.GetModelStatus, request) == ("NOT_FOUND", "Could not find version 5 of model tiny")

    predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = "tiny"
    code, details = refused(predictions.GetModelMetadata, request)
    assert (code, details) == (
        "INVALID_ARGUMENT",
        "GetModelMetadataRequest must specify at least one metadata_field",
    )
    request.metadata_field.append("signature_def")
    answer = predictions.GetModelMetadata(request)
    assert answer.model_spec.version.value == 2
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def["join"].inputs) == {"a", "b"}
    request.metadata_field.append("weights")
    assert refused(predictions.GetModelMetadata, request)[1] == "Metadata field weights is not supported"


def test_what_the_server_lacks_is_unimplemented(channel):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    assert refused(stub.Classify, classification_pb2.ClassificationRequest())[0] == "UNIMPLEMENTED"


def test_health(channel, tmp_path):
    check = health_pb2.HealthCheckRequest
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", "tensorflow.serving.PredictionService"):
        assert stub.Check(check(service=service)).status == health_pb2.HealthCheckResponse.SERVING
    assert refused(stub.Check, check(service="other"))[0] == "NOT_FOUND"
    (tmp_path / "empty").mkdir()
    with serving(tmp_path / "empty", name="empty") as empty, grpc.insecure_channel(empty.grpc_address) as other:
        assert health_pb2_grpc.HealthStub(other).Check(check()).status == health_pb2.HealthCheckResponse.NOT_SERVING


def test_another_configuration(saved, tmp_path):
    def reloaded(*models):
        request = model_management_pb2.ReloadConfigRequest()
        for name, folder in models:
            request.config.model_config_list.config.add(name=name, base_path=str(tmp_path / folder))
        return model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request)

    def version(name):
        return predict(channel, {"x": X}, name=name).outputs["version"].int_val[0]

    for number in "123":
        publish(saved / number, tmp_path / f"folder{number}")
    with (
        serving(tmp_path / "folder1", name="a") as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        assert reloaded(("a", "folder1"), ("b", "folder2")).status.error_code == 0
        assert [version("a"), version("b")] == [1, 2]
        reloaded(("b", "folder3"), ("c", "folder1"))
        assert [version("b"), version("c")] == [3, 1]
        assert refused(version, "a") == ("NOT_FOUND", "Servable not found for request: Latest(a)")
        code, details = refused(reloaded, ("b", "folder3"), ("d", "nowhere"))
        assert code == "INVALID_ARGUMENT"
        assert "there is no such folder" in details
        assert "not all different" in refused(reloaded, ("b", "folder3"), ("b", "folder1"))[1]
        code, _ = refused(
            model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest,
            model_management_pb2.ReloadConfigRequest(),
        )
        assert code == "INVALID_ARGUMENT"
        assert [version("b"), version("c")] == [3, 1]


def test_requests_that_are_too_long_or_that_nobody_waits_for(saved, tmp_path, monkeypatch):
    go_on, runs, run = threading.Event(), [], Servable.run

    def slow_run(*arguments):
        runs.append(arguments)
        assert go_on.wait(30)
        return run(*arguments)

    publish(saved / "1", tmp_path / "tiny")
    limits = Limits(threads=1, max_request_bytes=10_000)
    with (
        serving(tmp_path / "tiny", name="tiny", limits=limits) as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        assert refused(predict, channel, {"x": np.ones(5000, np.float32)})[0] == "RESOURCE_EXHAUSTED"
        monkeypatch.setattr(Servable, "run", slow_run)
        for _ in range(2):
            assert refused(predict, channel, {"x": X}, timeout=0.3)[0] == "DEADLINE_EXCEEDED"
        go_on.set()
        server._pool.submit(int).result(30)
        assert len(runs) == 1, "the second one's time was over before there was a thread for it"
