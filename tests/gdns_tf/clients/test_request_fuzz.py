"""Whatever a client sends, the server refuses or answers it, without an error of its own, and answers the next one.

HYPOTHESIS_PROFILE=long looks further.
"""

import contextlib
import copy
import json
import socket
import time
from http.client import HTTPConnection

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st
from serving_folder import reload, serving
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    predict_pb2,
)
from test_answer_fuzz import changed

from gdns_tf.server.model_server import Limits
from gdns_tf.server.versions import ModelConfig
from gdns_tf.serving.tensor_protos import array_from_proto

LONGEST = 200_000
HANG = 30
"""Seconds that no answer takes, however busy the machine is."""
REFUSED = {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNIMPLEMENTED", "ALREADY_EXISTS"}
PREDICT = "/tensorflow.serving.PredictionService/Predict"


@pytest.fixture(scope="module")
def server(models):
    with serving(models["int64"][0], limits=Limits(max_request_bytes=LONGEST, timeout=60)) as server:
        yield server


@pytest.fixture(autouse=True)
def no_traceback(caplog, capfd):
    yield
    said = caplog.text + "".join(capfd.readouterr())
    assert "Traceback" not in said, said


@pytest.fixture
def still_answers(server, models):
    """Checks that a right request is answered rightly."""
    oracle = models["int64"][1]
    user = oracle.user_ids[0]
    expected = oracle.recommend(user, 10)
    connection = HTTPConnection(server.rest_address.removeprefix("http://"), timeout=HANG)

    def check():
        connection.request("POST", "/v1/models/gdns:predict", json.dumps({"inputs": [user]}))
        outputs = json.loads(connection.getresponse().read())["outputs"]
        assert list(zip(outputs["item_ids"][0], outputs["scores"][0], strict=True)) == expected

    yield check
    connection.close()


def exchange(server, data, seconds=60.0):
    """What comes back for bytes until the server closes the connection, or says nothing for so long."""
    host, port = server.rest_address.removeprefix("http://").split(":")
    answer = b""
    with socket.create_connection((host, int(port)), 10) as connection, contextlib.suppress(OSError):
        connection.sendall(data)
        connection.settimeout(seconds)
        while part := connection.recv(1 << 16):
            answer += part
    return answer


def check_statuses(answer):
    """No answer says that the server is at fault."""
    for line in answer.split(b"\r\n"):
        if line.startswith(b"HTTP/1.1 "):
            assert line.split()[1] not in (b"500", b"502", b"503", b"504"), answer


LINES = (
    b"POST /v1/models/gdns:predict HTTP/1.1",
    b"GET /v1/models/gdns HTTP/1.1",
    b"GET /monitoring/prometheus/metrics HTTP/1.1",
    b"HEAD /v1/models/gdns/metadata HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"CONNECT a:1 HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"POST http://x/v1/models/gdns:predict HTTP/1.0",
    b"POST /v1/models/gd%00ns:predict?x=%zz HTTP/1.1",
    b"POST /v1/models/gdns/versions/" + b"9" * 400 + b":predict HTTP/1.1",
    b"BREW /v1/models/gdns HTTP/1.1",
    b"GET",
)
HEADERS = (
    b"Host: x",
    b"Content-Length: 0",
    b"Content-Length: 17",
    b"Content-Length: 18446744073709551616",
    b"Content-Length: -1",
    b"Content-Length: 1_0",
    b"Content-Length: +5",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity",
    b"Content-Encoding: gzip",
    b"Content-Encoding: " + b"x" * 5000,
    b"Expect: 100-continue",
    b"Upgrade: websocket",
    b"Upgrade: h2c",
    b"Connection: upgrade",
    b"Connection: close",
    b"Content-Type: multipart/form-data; boundary=",
    b": x",
    b"X\x00: y",
    b" folded",
    b"X-Forwarded-For: ' OR 1=1",
)
BODIES = (b'{"inputs": [1000]}', b"11\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"-1\r\n", b"{", b"\r\n")
RAW = st.builds(
    lambda line, headers, bodies: b"\r\n".join([line, *headers]) + b"\r\n\r\n" + b"".join(bodies),
    st.sampled_from(LINES[:1] * 6 + LINES) | st.binary(max_size=30),
    st.lists(st.sampled_from(HEADERS) | st.binary(max_size=20), max_size=5),
    st.lists(st.sampled_from(BODIES) | st.binary(max_size=30), max_size=4),
)


@given(st.lists(RAW, min_size=1, max_size=2).map(b"".join))
@example(b"POST /v1/models/gdns:predict HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\n{}")
@example(b"GET /" + b"x" * 300_000 + b" HTTP/1.1\r\n\r\n")
@example(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 100_000)
@example(b"POST /v1/models/gdns:predict HTTP/1.1\r\nContent-Length: 300000\r\n\r\n" + b" " * 300_000)
@example(
    b"POST /v1/models/gdns:predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n" + b"x: y\r\n" * 50_000
)
def test_bytes_by_rest(server, still_answers, data):
    began = time.monotonic()
    check_statuses(exchange(server, data, seconds=0.1))
    assert time.monotonic() - began < HANG
    still_answers()


def bodies(users, items):
    """Signature -> a right request."""
    lists = {"exclude_ids": [items], "restrict_to": [[-1]]}
    inputs = {
        "serving_default": {"user_ids": users},
        "retrieve": {"user_ids": users, "k": [3], "exclude_seen": [True]} | lists,
        "rank": {"user_ids": users, "item_ids": [items] * len(users)},
        "similar_items": {"item_ids": items, "k": [3]},
        "retrieve_by_history": {"history": [items], "k": [3]},
        "explain": {"user_ids": users, "item_ids": [items] * len(users), "k": [2]},
        "cosines": {"item_ids": [items]},
        "describe": {"parts": ["", "k"]},
    }
    return {name: {"signature_name": name, "inputs": given} for name, given in inputs.items()}


@pytest.fixture(scope="module")
def right(models):
    oracle = models["int64"][1]
    return bodies(oracle.user_ids[:2], oracle.item_ids[:3])


def deep(value, levels):
    for _ in range(levels):
        value = [value]
    return value


def in_rows(request):
    """The same with `instances`, where each row has its own value."""
    inputs = request["inputs"]
    rows = [dict(zip(inputs, row, strict=True)) for row in zip(*inputs.values(), strict=False)]
    return {"signature_name": request["signature_name"], "instances": rows}


@given(st.data())
def test_requests_by_rest_that_are_nearly_right(server, still_answers, right, data):
    request = copy.deepcopy(right[data.draw(st.sampled_from(sorted(right)))])
    if data.draw(st.booleans()):
        request = in_rows(request)
    for _ in range(data.draw(st.integers(1, 2))):
        request = changed(data.draw, request)
    text = json.dumps(request).encode()
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(text)))
        text = (
            text[:place] + data.draw(st.sampled_from([b"", b"1e999", b"-", b"\xff", b'"', b"NaN", b"]"])) + text[place:]
        )
    began = time.monotonic()
    head = b"POST /v1/models/gdns:predict HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(text)
    answer = exchange(server, head + text)
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400")), (text, answer)
    said = json.loads(answer.partition(b"\r\n\r\n")[2].decode("utf-8", "surrogateescape"))
    assert said.keys() & {"outputs", "predictions", "error"}
    assert time.monotonic() - began < HANG
    still_answers()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 90_000,
        b'{"a":' * 30_000,
        b'{"inputs": ' + b"[" * 900 + b"1" + b"]" * 900 + b"}",
        b'{"inputs": ' + b"[" * 90_000 + b"]" * 90_000 + b"}",
        json.dumps({"inputs": deep(1, 70)}).encode(),
        json.dumps({"inputs": deep([], 40)}).encode(),
        b'{"inputs": [' + b"9" * 100_000 + b"]}",
        b'{"inputs": [[],' + b"[]," * 60_000 + b"[]]}",
        b'{"inputs": [' + b'{"b64": ""},' * 15_000 + b"1]}",
        json.dumps({"signature_name": "x" * 150_000, "inputs": [1]}).encode(),
        json.dumps({"signature_name": "describe", "inputs": ["k"] * 20_000}).encode(),
        json.dumps({"inputs": list(range(30_000))}).encode(),
        json.dumps(
            {"signature_name": "retrieve", "inputs": {
                "user_ids": list(range(9_000)), "k": [2**31 - 1], "exclude_seen": [True],
                "exclude_ids": [[-1] * 20_000], "restrict_to": [[]],
            }}
        ).encode(),
        b"\x1f\x8b" + b"\x00" * 1000,
        b'{"signature_name": "\xff", "inputs": [1]}',
        rb'{"signature_name": "\ud800", "inputs": [1]}',
        rb'{"signature_name": "rank", "instances": [{"user_ids": 1, "\ud800": 2}]}',
        rb'{"inputs": {"\ud800": 2}}',
        rb'{"inputs": {"user_ids": ["\ud800"]}}',
        b"\xff\xfe" + '{"inputs": [1]}'.encode("utf-16-le"),
    ],
    ids=lambda body: ascii(body[:30]),
)  # fmt: skip
def test_long_and_deep_requests(server, still_answers, body):
    head = b"POST /v1/models/gdns:predict HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    began = time.monotonic()
    answer = exchange(server, head + body)
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400")), answer[:300]
    assert time.monotonic() - began < HANG
    still_answers()


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc_address, [("grpc.max_send_message_length", -1)]) as channel:
        yield channel


def send(channel, method, data):
    """The status that bytes are answered with."""
    call = channel.unary_unary(method).future(data, timeout=HANG)
    assert call.code() is grpc.StatusCode.OK or call.details(), "a message"
    return call.code().name


def proto(request):
    message = predict_pb2.PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = "gdns", request["signature_name"]
    dtypes = {"k": np.int32, "exclude_seen": bool, "parts": object}
    for name, value in request["inputs"].items():
        message.inputs[name].CopyFrom(tf.make_tensor_proto(np.array(value, dtypes.get(name, np.int64))))
    return message


@given(st.data())
def test_requests_by_grpc_that_are_nearly_right(channel, still_answers, right, data):
    message = proto(right[data.draw(st.sampled_from(sorted(right)))])
    name = data.draw(st.sampled_from(sorted(message.inputs)))
    tensor = message.inputs[name]
    for how in data.draw(
        st.lists(st.sampled_from(["dims", "vast", "dtype", "content", "values", "gone", "more", "spec"]), max_size=2)
    ):
        if how in ("dims", "vast"):
            sizes = st.integers(-2, 4) if how == "dims" else st.sampled_from([1, 3, 2**19, 2**31, 2**40, 2**62])
            del tensor.tensor_shape.dim[:]
            for size in data.draw(st.lists(sizes, max_size=5)):
                tensor.tensor_shape.dim.add(size=size)
        elif how == "dtype":
            tensor.dtype = data.draw(st.integers(0, 40) | st.integers(100, 140))
        elif how == "content":
            tensor.tensor_content = data.draw(st.binary(max_size=40))
        elif how == "values":
            tensor.int64_val.extend(data.draw(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=8)))
            tensor.string_val.extend(data.draw(st.lists(st.binary(max_size=9), max_size=4)))
            tensor.int_val.extend(data.draw(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4)))
        elif how == "gone" and name in message.inputs:
            del message.inputs[name]
        elif how == "more":
            message.output_filter.append(data.draw(st.sampled_from(["scores", "item_ids", "", "\x00"])))
        elif how == "spec":
            message.model_spec.version_label = data.draw(st.text(max_size=3).filter(_is_utf8))
            message.model_spec.version.value = data.draw(st.integers(-(2**63), 2**63 - 1))
    assert send(channel, PREDICT, message.SerializeToString()) in {*REFUSED, "OK"}
    still_answers()


def _is_utf8(text):
    with contextlib.suppress(UnicodeEncodeError):
        return text.encode() is not None
    return False


METHODS = (
    PREDICT,
    "/tensorflow.serving.PredictionService/GetModelMetadata",
    "/tensorflow.serving.PredictionService/Classify",
    "/tensorflow.serving.ModelService/GetModelStatus",
    "/tensorflow.serving.ModelService/HandleReloadConfigRequest",
    "/grpc.health.v1.Health/Check",
    "/no.Such/Method",
)


@given(st.data())
def test_bytes_by_grpc(server, channel, still_answers, right, models, data):
    method = data.draw(st.sampled_from(METHODS))
    kinds = {
        METHODS[0]: proto(right["retrieve"]),
        METHODS[1]: get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"]),
        METHODS[3]: get_model_status_pb2.GetModelStatusRequest(),
        METHODS[4]: model_management_pb2.ReloadConfigRequest(),
    }
    message = kinds.get(method, get_model_status_pb2.GetModelStatusRequest())
    if method == METHODS[4]:
        message.config.model_config_list.config.add(name="", base_path="/no/such/folder")
    elif hasattr(message, "model_spec"):
        message.model_spec.name = "gdns"
    raw = message.SerializeToString()
    place = data.draw(st.integers(0, len(raw)))
    raw = raw[:place] + data.draw(st.binary(max_size=8)) + raw[place + data.draw(st.integers(0, 8)) :]
    assert send(channel, method, raw) in {*REFUSED, "OK"}
    if not server.models:  # an empty configuration is one too
        reload(server, models["int64"][0], ModelConfig(name="gdns"))
    still_answers()


def test_a_message_that_is_too_long_by_grpc(channel, still_answers):
    assert send(channel, PREDICT, b"\x00" * (LONGEST + 1)) == "RESOURCE_EXHAUSTED"
    still_answers()


@pytest.mark.parametrize(
    ("dtype", "values", "sizes"),
    [
        ("int64", [1], [2**20 + 2]),
        ("int64", [1], [2**10, 2**10, 2]),
        ("int64", [], [2**20 + 1]),
        ("string", [b"x" * 1000], [2**19]),
        ("float16", [], [2**21]),
        ("int64", [1], [1] * 17),
    ],
)
def test_few_bytes_do_not_become_much_memory(dtype, values, sizes):
    tensor = tf.make_tensor_proto(np.array([], dtype if dtype != "string" else object))
    tensor.Clear()
    tensor.dtype = tf.as_dtype(dtype).as_datatype_enum
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)
    if dtype == "string":
        tensor.string_val.extend(values)
    else:
        tensor.int64_val.extend(values)
    with pytest.raises(ValueError, match="its shape is"):
        array_from_proto(tensor)
