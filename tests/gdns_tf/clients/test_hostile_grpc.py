"""The gRPC client and servers that say nothing, too much, something else than gRPC, or try again later."""

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import tensorflow as tf
from raw_server import RawServer, http
from tensorflow_serving.apis import predict_pb2
from test_hostile_rest import ABOUT, DESCRIBED

from gdns_tf.clients import AccessDenied, DeadlineExceeded, InvalidRequest, Recommender, ServingError, Unavailable

RIGHT = predict_pb2.PredictResponse()
RIGHT.outputs["json"].CopyFrom(tf.make_tensor_proto(DESCRIBED["outputs"]))


@contextlib.contextmanager
def answering(answer, **options):
    """A server that answers every request by a function of its number and context."""
    numbers = iter(range(1000))

    class Handler(grpc.GenericRpcHandler):
        def service(self, _):
            return grpc.unary_unary_rpc_method_handler(lambda _, context: answer(next(numbers), context))

    send_all = [("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()], options=send_all, **options)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0)


def describe(address, timeout=20, **options):
    with Recommender.from_grpc(address, timeout=timeout, **options) as recommender:
        return recommender.describe()


def test_a_server_that_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises((DeadlineExceeded, Unavailable)):
            describe(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.3)
        assert time.monotonic() - began < 8
    over = threading.Event()
    with answering(lambda *_: over.wait(30)) as address:
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=r"no answer within 0.3 s"):
            describe(address, timeout=0.3)
        assert time.monotonic() - began < 8
        over.set()


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_an_answer_has_a_bound(compression):
    with (
        answering(lambda *_: bytes(20_000_000), compression=compression) as address,
        pytest.raises(ServingError, match=r"RESOURCE_EXHAUSTED\): ask for fewer at a time. Answers may have 2 MB"),
    ):
        describe(address, max_answer_mb=2)
    long = predict_pb2.PredictResponse()
    long.CopyFrom(RIGHT)
    long.outputs["more"].CopyFrom(tf.make_tensor_proto([b"x" * 6_000_000]))
    with answering(lambda *_: long.SerializeToString()) as address:
        assert describe(address) == ABOUT, "beyond gRPC's own 4 MB"


@pytest.mark.parametrize("data", [http({"outputs": []}), b"\x00" * 1000, b"\xff" * 1000, b"PRI * HTTP/2.0\r\n\r\n"])
def test_something_else_than_grpc(data):
    with RawServer(lambda connection: connection.sendall(data)) as server, pytest.raises(ServingError) as raised:
        describe(f"127.0.0.1:{server.port}", timeout=0.5)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
def test_what_passes_is_tried_again(code):
    def answer(number, context):
        if number == 0:
            context.abort(code, "ending")
        return RIGHT.SerializeToString()

    with answering(answer) as address:
        assert describe(address) == ABOUT


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INTERNAL, ServingError),
        (grpc.StatusCode.UNKNOWN, ServingError),
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest),
        (grpc.StatusCode.UNAUTHENTICATED, AccessDenied),
        (grpc.StatusCode.PERMISSION_DENIED, AccessDenied),
    ],
)
def test_what_is_refused_is_not(code, kind):
    asked = []

    def answer(number, context):
        asked.append(number)
        context.abort(code, "no\x1b[2J" * 300)

    with answering(answer) as address, pytest.raises(kind, match=code.name) as raised:
        describe(address)
    assert asked == [0]
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 700


def test_a_client_that_is_closed_says_so():
    recommender = Recommender.from_grpc("127.0.0.1:1")
    recommender.close()
    with pytest.raises(ServingError, match="closed"):
        recommender.describe()
