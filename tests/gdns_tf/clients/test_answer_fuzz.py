"""Whatever a server answers, a client gives what was asked for or raises a ServingError, in time.

HYPOTHESIS_PROFILE=long looks further.
"""

import copy
import json
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st
from raw_server import RawServer, http
from tensorflow_serving.apis import predict_pb2

from gdns_tf.clients import Recommendations, Recommender, ServingError
from gdns_tf.clients.formats import FORMATS
from gdns_tf.clients.in_process import InProcess
from gdns_tf.serving.contract import PADDING_IDS, SIGNATURES

SECONDS = 5
ROWS, K, WIDTH = 2, 3, 2


def right_answers(id_type):
    """Signature -> outputs in JSON, of a model that keeps the contract."""
    ids = {"int64": lambda n: list(range(1, 1 + n)), "string": lambda n: [f"é{i}" for i in range(n)]}[id_type](K)
    scores, about = [1.5, 0.5, -1.0], {"user_id_type": id_type, "item_id_type": id_type, "k": K, "num_items": 9}
    about["limits"] = {"users": 1000, "k": 1000, "ids": 1000, "entries": 10_000}
    lists = {"item_ids": [ids] * ROWS, "scores": [scores] * ROWS}
    users = {"known_user": [True, False]}
    return {
        "describe": {"json": [json.dumps(about)]},
        "serving_default": lists | users,
        "retrieve": lists | users,
        "retrieve_by_history": lists | users | {"num_unknown": [0, 1]},
        "similar_items": lists | {"known_item": [True, False]},
        "rank": {"scores": [scores] * ROWS, "known_item": [[True] * K] * ROWS} | users,
        "explain": {
            "because_ids": [[ids[:WIDTH]] * (1 + K)] * ROWS,
            "contributions": [[scores[:WIDTH]] * (1 + K)] * ROWS,
            "of_history": [[1.0] * (1 + K)] * ROWS,
        }
        | users,
        "cosines": {"cosines": [[[0.5] * (1 + K)] * (1 + K)] * ROWS},
    }


TWO = {"int64": [7, 8], "string": ["a", "b"]}
CALLS = {
    "serving_default": lambda r, ids: r.recommend(ids, K),
    "retrieve": lambda r, ids: r.recommend(ids, K, exclude_seen=False),
    "retrieve_by_history": lambda r, ids: r.recommend_by_history([ids, ids[:1]], K),
    "similar_items": lambda r, ids: r.similar_items(ids, K),
    "rank": lambda r, ids: r.rank(ids, ids),
    "explain": lambda r, ids: r.recommend(ids, K, why=WIDTH),
    "cosines": lambda r, ids: r.recommend(ids, K, mmr=0.5),
    "describe": lambda r, ids: r.describe(),
}


def ask(recommender, signature, id_type):
    """Asks, and uses the answer as people do; whether it came."""
    began = time.monotonic()
    try:
        answer = CALLS[signature](recommender.signatures, TWO[id_type])
        if isinstance(answer, Recommendations):
            assert len(answer) == len(list(answer)) == ROWS
            assert answer.items.shape == answer.scores.shape == (ROWS, answer.items.shape[1])
            assert answer.items.shape[1] <= K
            assert np.isfinite(answer.scores).all()
            for entry in (entry for row in answer for entry in row.entries):
                assert type(entry.item) is type(PADDING_IDS[id_type])
            for form in FORMATS.values():
                form("user", answer).encode()
            assert len(CALLS[signature](recommender, TWO[id_type])) <= ROWS * K  # a DataFrame
        elif signature == "rank":
            assert answer.scores.shape == answer.known_item.shape == (ROWS, len(TWO[id_type]))
        else:
            assert isinstance(answer, dict)
        told = ""
    except ServingError as error:
        told = str(error)
    assert told.isprintable()
    assert len(told) < 1500
    assert time.monotonic() - began < 3 * SECONDS
    return not told


@pytest.fixture(autouse=True)
def no_traceback(caplog, capfd):
    yield
    said = caplog.text + "".join(capfd.readouterr())
    assert "Traceback" not in said, said


@pytest.fixture(scope="module", params=["int64", "string"])
def id_type(request):
    return request.param


class Answers:
    """What a server sends for each signature: what is right, but for one."""

    def __init__(self, id_type):
        self.right = {name: {"outputs": outputs} for name, outputs in right_answers(id_type).items()}
        self.raw = {}

    def __call__(self, connection):
        _, body = self.server.requests[-1]
        name = json.loads(body)["signature_name"]
        connection.sendall(self.raw.get(name) or http(self.right[name]))


@pytest.fixture(scope="module")
def by_rest(id_type):
    answers = Answers(id_type)
    with RawServer(answers) as answers.server:
        yield answers, answers.server


def rest_client(server):
    return Recommender.from_rest(server.address, timeout=SECONDS, max_answer_mb=1)


def test_what_is_right_is_taken(by_rest, id_type):
    answers, server = by_rest
    answers.raw = {}
    for signature in CALLS:
        assert ask(rest_client(server), signature, id_type)


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from([10**400, 2**63, -(2**63) - 1, 1e39, "\ud800", "\x1b[2J", "NaN", {}, [], [[]], [[], [1]]])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["outputs", "error", "x"]), inner),
    max_leaves=6,
)


def places(value, path=()):
    """Paths to all parts of a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def changed(draw, value):
    """The value with one part of it replaced, taken away or doubled."""
    value = copy.deepcopy(value)
    path = draw(st.sampled_from(list(places(value))))
    if not path:
        return draw(JUNK)
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    how = draw(st.sampled_from(["junk", "junk", "gone", "twice"]))
    if how == "junk":
        parent[path[-1]] = draw(JUNK)
    elif how == "gone":
        del parent[path[-1]]
    elif isinstance(parent, list):
        parent.insert(path[-1], parent[path[-1]])
    return value


@given(st.data())
def test_answers_by_rest_that_are_nearly_right(by_rest, id_type, data):
    answers, server = by_rest
    asked = data.draw(st.sampled_from(sorted(CALLS)))
    wrong = data.draw(st.sampled_from(sorted({asked, "describe", "serving_default"})))
    value = changed(data.draw, answers.right[wrong])
    if wrong == "describe" and data.draw(st.booleans()):
        value = {"outputs": [json.dumps(changed(data.draw, json.loads(right_answers(id_type)["describe"]["json"][0])))]}
    answers.raw = {
        wrong: http(value, data.draw(st.sampled_from(["200 OK"] * 4 + ["400 B", "404 N", "500 I", "302 F"])))
    }
    with rest_client(server) as recommender:
        ask(recommender, asked, id_type)


HEADERS = (
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: \xb2",
    b"Transfer-Encoding: chunked",
    b"Content-Encoding: gzip",
    b"Location: \x00\r\n\t",
    b": ",
    b"\xff\xfe: \x00",
    b"Connection: close",
    b"Content-Type: text/html; charset=utf-16",
)


LINES = (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200\r\n", b"HTTP/1.1 100 C\r\n\r\n", b"\r\n", b"5\r\n", b"0\r\n\r\n")


PARTS = (
    st.sampled_from(LINES)
    | st.sampled_from(HEADERS).map(lambda header: header + b"\r\n")
    | st.sampled_from([b'{"outputs": ', b'["{}"]}', b"[" * 5000, b'"error": "x"', b"]"])
    | st.binary(max_size=20)
)


@given(st.tuples(st.sampled_from(LINES[:1] * 3 + LINES), st.lists(PARTS, max_size=8).map(b"".join)).map(b"".join))
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nxx\r\n")
def test_bytes_by_rest(by_rest, id_type, data):
    answers, server = by_rest
    answers.raw = {"describe": data or b"\r\n"}
    with rest_client(server) as recommender:
        recommender.signatures.backend._limits.__dict__["timeout"] = 0.05
        ask(recommender, "describe", id_type)


class GrpcAnswers(grpc.GenericRpcHandler):
    """Sends bytes as the answer to whatever is asked."""

    def __init__(self, id_type):
        self.right = {}
        for name, outputs in right_answers(id_type).items():
            response = predict_pb2.PredictResponse()
            for tensor in SIGNATURES[name].outputs:
                dtype = tensor.dtype_with({"user_id": id_type, "item_id": id_type})
                response.outputs[tensor.name].CopyFrom(tf.make_tensor_proto(outputs[tensor.name], dtype))
            self.right[name] = response
        self.raw = {}

    def service(self, details):
        def answer(request, _):
            name = predict_pb2.PredictRequest.FromString(request).model_spec.signature_name
            return self.raw[name] if name in self.raw else self.right[name].SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture(scope="module")
def by_grpc(id_type):
    from concurrent.futures import ThreadPoolExecutor

    answers = GrpcAnswers(id_type)
    server = grpc.server(ThreadPoolExecutor(2), handlers=[answers])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Recommender.from_grpc(f"127.0.0.1:{port}", timeout=SECONDS, max_answer_mb=1) as recommender:
        yield answers, recommender.signatures.backend
    server.stop(0)


def grpc_client(backend):
    """Knows nothing yet of the model."""
    from gdns_tf.clients import Signatures

    return Recommender(Signatures(backend))


def test_what_is_right_is_taken_by_grpc(by_grpc, id_type):
    answers, backend = by_grpc
    answers.raw = {}
    for signature in CALLS:
        assert ask(grpc_client(backend), signature, id_type)


@given(st.data())
def test_answers_by_grpc_that_are_nearly_right(by_grpc, id_type, data):
    answers, backend = by_grpc
    asked = data.draw(st.sampled_from(sorted(CALLS)))
    wrong = data.draw(st.sampled_from(sorted({asked, "describe", "serving_default"})))
    response = predict_pb2.PredictResponse.FromString(answers.right[wrong].SerializeToString())
    name = data.draw(st.sampled_from(sorted(response.outputs)))
    tensor = response.outputs[name]
    how = data.draw(st.sampled_from(["gone", "dtype", "dims", "lying dims", "content", "values", "bytes"]))
    if how == "gone":
        del response.outputs[name]
    elif how == "dtype":
        tensor.dtype = data.draw(st.integers(0, 30) | st.integers(100, 130))
    elif how in ("dims", "lying dims"):
        sizes = st.integers(-3, 4) if how == "dims" else st.sampled_from([0, 1, 2**20, 2**31, 2**40, 2**62])
        del tensor.tensor_shape.dim[:]
        for size in data.draw(st.lists(sizes, max_size=6)):
            tensor.tensor_shape.dim.add(size=size)
    elif how == "content":
        tensor.tensor_content = data.draw(st.binary(max_size=40))
    elif how == "values":
        tensor.float_val.extend(data.draw(st.lists(st.floats(width=32), max_size=8)))
        tensor.int64_val.extend(data.draw(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=8)))
        tensor.string_val.extend(data.draw(st.lists(st.binary(max_size=9), max_size=8)))
    raw = response.SerializeToString()
    if how == "bytes":
        place = data.draw(st.integers(0, len(raw)))
        raw = raw[:place] + data.draw(st.binary(max_size=6)) + raw[place + data.draw(st.integers(0, 6)) :]
    answers.raw = {wrong: raw}
    ask(grpc_client(backend), asked, id_type)


def test_functions_in_this_process_are_checked_too():
    def wrong(parts):
        return {"json": tf.constant([1.0])}

    with pytest.raises(ServingError, match="not string of 1 dimensions"):
        grpc_client(InProcess({"describe": wrong}, "the model")).describe()
