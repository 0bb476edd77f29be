"""REST as TensorFlow Serving's documentation has it, over a socket."""

import json
import math
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import numpy as np
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from serving_folder import serving
from tiny_models import publish

from gdns_tf.server.model_server import Limits
from gdns_tf.server.servable import Servable


@pytest.fixture
def post(server):
    def send(body, path="/v1/models/tiny:predict", **options):
        body = body if isinstance(body, bytes) else json.dumps(body)
        return requests.post(f"{server.rest_address}{path}", data=body, timeout=30, **options)

    return send


@pytest.fixture
def get(server):
    return lambda path: requests.get(f"{server.rest_address}{path}", timeout=30)


def metric(page, name, **labels):
    """The value of one sample of a page of metrics; 0 where it is not there."""
    for family in text_string_to_metric_families(page.text):
        for sample in family.samples:
            if sample.name.removesuffix("_total") == name and sample.labels == labels:
                return sample.value
    return 0


def test_predict_in_columns_and_rows(post):
    answer = post({"inputs": [1.0, 7.5]})
    assert answer.headers["content-type"] == "application/json"
    log = np.log(np.array([1, 7.5], np.float32))
    assert list(answer.json()["outputs"]) == ["log", "version"]
    np.testing.assert_allclose(answer.json()["outputs"]["log"], log, rtol=1e-6)
    rows = post({"instances": [1.0, {"x": 7.5}["x"]]}).json()["predictions"]
    np.testing.assert_allclose([row["log"] for row in rows], log, rtol=1e-6)
    assert [row["version"] for row in rows] == [2, 2]
    assert post({"signature_name": "sums", "instances": [[1, 2], [3, 4]]}).json() == {"predictions": [3, 7]}
    named = [{"a": "ä", "b": "\n"}, {"a": {"b64": "/w=="}, "b": ""}]
    answer = post({"signature_name": "join", "instances": named})
    assert answer.content.count(b"\xff") == 1
    assert json.loads(answer.content.decode("utf-8", "surrogateescape"))["predictions"] == [
        {"text": "ä\n", "text_bytes": {"b64": "w6QK"}},
        {"text": "\udcff", "text_bytes": {"b64": "/w=="}},
    ]
    assert post({"signature_name": "uneven", "inputs": [True, False]}).json() == {
        "outputs": {"all": [False], "scalar": True, "x": [True, False]}
    }


def test_numbers_that_json_does_not_know(post):
    answer = post(b'{"inputs": [-1, 0, Infinity, NaN]}')
    assert b"[NaN, -Infinity, Infinity, NaN]" in answer.content
    assert math.isnan(answer.json()["outputs"]["log"][0])


@pytest.mark.parametrize("path", ["", "/versions/2", "/VERSIONS/2"])
def test_versions_in_the_path(post, get, path):
    assert post({"inputs": [1]}, f"/v1/models/tiny{path}:predict").json()["outputs"]["version"] == [2]
    assert get(f"/v1/models/tiny{path}").json() == {
        "model_version_status": [
            {"version": "2", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }


def test_metadata(get):
    answer = get("/v1/models/tiny/metadata").json()
    assert answer["model_spec"] == {"name": "tiny", "signature_name": "", "version": "2"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["sums"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["x"]["dtype"] == "DT_INT64"
    shape = signature["inputs"]["x"]["tensor_shape"]
    assert [dim["size"] for dim in shape["dim"]] == ["-1", "-1"]
    assert shape["unknown_rank"] is False


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/v1/models/tiny:predict", {"inputs": ["x"]}, 400, "is not of expected type: float"),
        ("/v1/models/tiny:predict", {"inputs": [[1.0]]}, 200, None),  # shapes are the graph's affair
        ("/v1/models/tiny:predict", {"signature_name": "sums", "inputs": [1]}, 400, "Invalid reduction dimension"),
        ("/v1/models/tiny:predict", b"{", 400, "JSON Parse error"),
        ("/v1/models/tiny:predict", {"signature_name": 1, "inputs": []}, 400, "'signature_name' key must be a string"),
        ("/v1/models/tiny:predict", {"signature_name": "no", "inputs": []}, 400,
         'Serving signature name: "no" not found in signature def'),
        ("/v1/models/tiny:predict", {"signature_name": "uneven", "instances": [True, False]}, 400, "has no shape"),
        ("/v1/models/no:predict", {"inputs": [1]}, 404, "Servable not found for request: Latest(no)"),
        ("/v1/models/tiny/versions/3:predict", {"inputs": [1]}, 404, "not found for request: Specific(tiny, 3)"),
        ("/v1/models/tiny/labels/canary:predict", {"inputs": [1]}, 400, "Unrecognized servable version label: canary"),
        (f"/v1/models/tiny/versions/{2**63}:predict", {}, 400, f"Failed to convert version: {2**63} to numeric."),
        (f"/v1/models/tiny/versions/{'9' * 5000}:predict", {}, 400, "to numeric."),
        ("/v1/models/tiny:classify", {"examples": [{}]}, 501, "use predict"),
        ("/v1/models/tiny", {}, 400, "Malformed request: POST /v1/models/tiny"),
        ("/v1/models/%74iny:predict", {"inputs": [1]}, 200, None),
        ("/v2/models/tiny:predict", {}, 404, "/v1/models/NAME"),
    ],
)  # fmt: skip
def test_statuses_and_messages(post, path, body, status, message):
    answer = post(body, path)
    assert answer.status_code == status, answer.text
    if message is not None:
        assert message in answer.json()["error"]


def test_other_requests(get, server):
    assert "Missing model name" in get("/v1/models").json()["error"]
    assert get("/v1/models/no").json() == {"error": "Could not find any versions of model no"}
    assert get("/v1/models/tiny/versions/9").json() == {"error": "Could not find version 9 of model tiny"}
    assert get("/v1/models/tiny/metadata/more").status_code == 400
    assert get("/").status_code == 404
    for method in ("PUT", "DELETE", "OPTIONS"):
        answer = requests.request(method, f"{server.rest_address}/v1/models/tiny", timeout=30)
        assert (answer.status_code, answer.json()["error"]) == (400, f"Malformed request: {method} /v1/models/tiny")


def test_a_request_that_is_too_long_is_refused_and_others_go_on(saved, tmp_path):
    publish(saved / "1", tmp_path / "tiny")
    with serving(tmp_path / "tiny", name="tiny", limits=Limits(max_request_bytes=10_000)) as server:
        url = f"{server.rest_address}/v1/models/tiny:predict"
        long = json.dumps({"inputs": [1] * 20_000})
        for body in (long, (part.encode() for part in (long[:30_000], long[30_000:]))):
            answer = requests.post(url, data=body, timeout=30)
            assert answer.status_code == 413
            assert answer.json() == {"error": "the request is longer than this server's limit of 10,000 bytes"}
        assert requests.post(url, data='{"inputs": [1]}', timeout=30).ok


def test_metrics_count_requests_and_times(post, get):
    def counted(status, name="tiny"):
        return metric(get("/monitoring/prometheus/metrics"), ":tensorflow:serving:request_count",
                      model_name=name, status=status)  # fmt: skip

    def timed():
        labels = {"model_name": "tiny", "API": "predict", "entrypoint": "REST"}
        return metric(get("/monitoring/prometheus/metrics"), ":tensorflow:serving:request_latency_count", **labels)

    answered, ok, invalid, unknown = timed(), counted("OK"), counted("INVALID_ARGUMENT"), counted("NOT_FOUND", "")
    post({"inputs": [1]})
    post({"inputs": ["x"]})
    post({"inputs": [1]}, "/v1/models/never%20heard%20of:predict")
    assert (counted("OK"), counted("INVALID_ARGUMENT"), counted("NOT_FOUND", "")) == (ok + 1, invalid + 1, unknown + 1)
    page = get("/monitoring/prometheus/metrics")
    assert "never" not in page.text
    assert timed() == answered + 1
    assert metric(page, ":gdns_tf:servable_available", model_name="tiny", version="2") == 1
    loads = [line for line in page.text.splitlines() if ":saved_model:load_attempt_count{" in line]
    assert [line.endswith('/tiny/2",status="success"} 1') for line in loads] == [True]


def test_health(get, tmp_path):
    assert (get("/healthz").status_code, get("/healthz").json()) == (200, {"status": "SERVING"})
    (tmp_path / "empty").mkdir()
    with serving(tmp_path / "empty", name="empty") as server:
        answer = requests.get(f"{server.rest_address}/healthz", timeout=30)
        assert (answer.status_code, answer.json()) == (503, {"status": "NOT_SERVING"})


def test_a_request_that_waits_for_too_long_is_given_up(saved, tmp_path, monkeypatch):
    go_on, runs, run = threading.Event(), [], Servable.run

    def slow_run(*arguments):
        runs.append(arguments)
        assert go_on.wait(30)
        return run(*arguments)

    publish(saved / "1", tmp_path / "tiny")
    with serving(tmp_path / "tiny", name="tiny", limits=Limits(threads=1, timeout=0.2)) as server:
        monkeypatch.setattr(Servable, "run", slow_run)
        url = f"{server.rest_address}/v1/models/tiny:predict"
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(lambda _: requests.post(url, data='{"inputs": [1]}', timeout=30), range(3)))
        assert [answer.status_code for answer in answers] == [504] * 3
        assert answers[0].json() == {"error": "no answer within 0.2 s"}
        go_on.set()
        server._pool.submit(int).result(30)
        assert len(runs) == 1, "what had not begun when it was given up is not done"


def test_what_is_no_http_or_breaks_off_harms_nobody(server, post):
    address = urlsplit(server.rest_address)
    for sent in (
        b"\x00\xff nonsense\r\n\r\n",
        b"POST /v1/models/tiny:predict HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
    ):
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(sent)
    assert post({"inputs": [1]}).ok


def test_many_connections_at_once(server):
    """More than the threads; each is open until the last has been answered."""
    address = urlsplit(server.rest_address)
    request = b'POST /v1/models/tiny:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{"inputs": [1]}'
    connections = [socket.create_connection((address.hostname, address.port), 60) for _ in range(200)]
    try:
        for connection in connections:
            connection.sendall(request)
        answers = [connection.recv(4096) for connection in connections]
    finally:
        for connection in connections:
            connection.close()
    assert all(answer.startswith(b"HTTP/1.1 200 OK") for answer in answers)
