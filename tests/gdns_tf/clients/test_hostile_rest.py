"""The REST client and servers that redirect, drip, never end, send too much, or something else than HTTP."""

import gzip
import json
import socket
import threading
import time
import tracemalloc

import numpy as np
import pytest
from raw_server import RawServer, http

from gdns_tf.clients import AccessDenied, DeadlineExceeded, InvalidRequest, Recommender, ServingError, Unavailable
from gdns_tf.clients.backend import Limits, ModelSpec
from gdns_tf.clients.rest_server import RestServer

ABOUT = {"user_id_type": "int64", "item_id_type": "int64", "k": 2}
DESCRIBED = {"outputs": [json.dumps(ABOUT)]}


def describe(server, timeout=0.4, **options):
    with Recommender.from_rest(server.address, timeout=timeout, **options) as recommender:
        return recommender.describe()


def sends(data):
    return lambda connection: connection.sendall(data)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status):
    with RawServer(sends(http(DESCRIBED))) as other:
        location = f"Location: {other.address}/v1/models/gdns:predict"
        with (
            RawServer(sends(http(b"", f"{status} Moved", location))) as server,
            pytest.raises(ServingError, match=rf"HTTP {status} to {other.address}.*: redirects are not followed"),
        ):
            describe(server)
        assert other.connections == 0
        assert len(server.requests) == 1, "it was not tried again"


HEAD = b"HTTP/1.1 200 OK\r\n"
SLOW = {
    "says nothing": lambda server, _: server.wait(),
    "drips the status": lambda server, connection: server.drip(connection, HEAD * 99),
    "drips a header": lambda server, connection: server.drip(connection, HEAD + b"X: " + b"x" * 999),
    "drips headers": lambda server, connection: server.drip(connection, HEAD + b"X: x\r\n" * 99),
    "goes on with 100 Continue": lambda server, connection: server.drip(connection, b"HTTP/1.1 100 C\r\n\r\n" * 99),
    "drips the body": lambda server, connection: (
        connection.sendall(HEAD + b"Content-Length: 9999\r\n\r\n"),
        server.drip(connection, b" " * 9999),
    ),
    "drips a body without a length": lambda server, connection: (
        connection.sendall(HEAD + b"\r\n"),
        server.drip(connection, b" " * 9999),
    ),
    "drips chunks": lambda server, connection: (
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n"),
        server.drip(connection, b"1\r\n \r\n" * 9999),
    ),
    "drips the length of a chunk": lambda server, connection: (
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n"),
        server.drip(connection, b"0" * 9999),
    ),
    "stops in the middle": lambda server, connection: (
        connection.sendall(HEAD + b'Content-Length: 99\r\n\r\n{"outputs":'),
        server.wait(),
    ),
}


@pytest.mark.parametrize("kind", SLOW)
def test_the_timeout_is_for_the_whole_call(kind):
    with RawServer(lambda connection: SLOW[kind](server, connection)) as server:
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=r"no answer within 0.3 s"):
            describe(server, timeout=0.3)
        assert 0.25 < time.monotonic() - began < 10  # however busy the machine is: it would take longer


def test_a_server_that_does_not_read_or_does_not_shake_hands_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf:
        port = deaf.getsockname()[1]
        for address, inputs in ((f"http://127.0.0.1:{port}", 5_000_000), (f"https://127.0.0.1:{port}", 1)):
            backend = RestServer(address, ModelSpec(), Limits(0.3))
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                backend.call("describe", {"parts": np.array(["x" * inputs], object)}, ("json",))
            assert time.monotonic() - began < 8


def test_name_servers_that_do_not_answer_are_not_waited_for(monkeypatch):
    look_up, over = socket.getaddrinfo, threading.Event()

    def slow(host, *arguments, flags=0, **options):
        if not flags:
            over.wait(30)
        return look_up(host, *arguments, flags=flags, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        Recommender.from_rest("http://models.example.com", timeout=0.3).describe()
    assert time.monotonic() - began < 8
    over.set()
    with RawServer(sends(http(DESCRIBED))) as server:
        by_name = f"http://localhost:{server.port}"
        assert Recommender.from_rest(by_name, timeout=5).describe() == ABOUT


MB = b" " * 1_000_000


def forever(head, piece):
    def send(connection):
        connection.sendall(HEAD + head + b"\r\n")
        for _ in range(1000):
            connection.sendall(piece)

    return send


@pytest.mark.parametrize(
    ("send", "message"),
    [
        (forever(b"", MB), r"longer than 2 MB \(`max_answer_mb`\): ask for fewer at a time"),
        (forever(b"Content-Length: 99999999999999\r\n", MB), "longer than 2 MB"),
        (forever(b"Transfer-Encoding: chunked\r\n", b"F4240\r\n" + MB + b"\r\n"), "longer than 2 MB"),
        (forever(b"Transfer-Encoding: chunked\r\n", b"-1\r\n" + MB + b"\r\n"), "longer than 2 MB|IncompleteRead"),
        (forever(b"X: x\r\n" * 100, b""), "HTTPException: this is not HTTP"),
        (forever(b"X: " + MB, b""), "LineTooLong: this is not HTTP"),
        (sends(http(gzip.compress(bytes(10**8)), "200 OK", "Content-Encoding: gzip")), "compressed, which was not"),
    ],
    ids=["no length", "length", "chunks", "chunks of -1", "headers", "a header", "gzip"],
)
def test_an_answer_has_a_bound(send, message):
    with RawServer(send) as server:
        tracemalloc.start()
        try:
            with pytest.raises(ServingError, match=message):
                describe(server, timeout=5, max_answer_mb=2)
            assert tracemalloc.get_traced_memory()[1] < 12e6
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\xff\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 99999999999999999999 OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"220 mail.example.com ESMTP\r\n",
        http(b"\xff\xfe", "200 OK"),
        http(b"{" * 10, "200 OK"),
        http(b"[" * 100_000, "200 OK"),
        http(b'{"outputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "200 OK"),
        http(b'{"outputs":' + b"[" * 900 + b"]" * 900 + b"}", "200 OK"),
        http(b'{"outputs":["\\ud800"]}', "200 OK"),
        http(b'{"outputs":[1' + b"0" * 5000 + b"]}", "200 OK"),
        http({"outputs": []}),
        http({"outputs": {}}),
        http({"outputs": None}),
        http({"outputs": ["[]"]}),
        http({"outputs": ["[" * 100_000]}),
        http({"outputs": ["{}", "{}"]}),
        http({"error": "but 200"}),
        http({"error": {"a": [1]}}, "500 Sorry"),
        http({"outputs": ["{}"]}, "500 Sorry"),
        http(DESCRIBED, "201 Created"),
        http(b"", "204 None", length=False),
    ],
    ids=lambda data: ascii(data[:40] + data[-10:]),
)
def test_what_is_no_answer_is_a_serving_error_in_one_line(data):
    with RawServer(sends(data)) as server, pytest.raises(ServingError) as raised:
        describe(server, timeout=1)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 800


def test_words_of_a_server_do_nothing_to_a_terminal():
    said = "\x1b]0;mine\x07 \x1b[2J" + "no " * 10_000
    with RawServer(sends(http({"error": said}, "400 Bad"))) as server, pytest.raises(InvalidRequest) as raised:
        describe(server)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 700


@pytest.mark.parametrize(
    "first",
    [
        http(b"Internal Server Error", "500 Internal Server Error", "Connection: close"),
        http(b"<html>", "502 Bad Gateway"),
        http({"error": "busy"}, "503 Service Unavailable"),
        http(b"slow down", "429 Too Many Requests"),
        b"",
        HEAD + b"Content-Length: 9\r\n\r\n{",
    ],
    ids=["500", "502", "503", "429", "closed", "broken off"],
)
def test_what_passes_is_tried_again(first):
    def answer(connection):
        data = http(DESCRIBED) if len(server.requests) > 1 else first
        connection.sendall(data)
        if data is first and (not data or data.endswith(b"{")):
            connection.shutdown(socket.SHUT_RDWR)

    with RawServer(answer) as server:
        assert describe(server, timeout=5) == ABOUT
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "kind"), [(500, ServingError), (400, InvalidRequest), (401, AccessDenied), (413, InvalidRequest)]
)
def test_what_the_model_refuses_is_not(status, kind):
    with RawServer(sends(http({"error": "no"}, f"{status} No"))) as server:
        with pytest.raises(kind, match=f"no \\(HTTP {status}\\)"):
            describe(server, timeout=5)
        assert len(server.requests) == 1


def test_a_request_that_is_refused_before_it_was_read_has_its_answer():
    def refuse():
        connection, _ = listener.accept()
        with connection:
            connection.recv(1)
            connection.sendall(http({"error": "too long"}, "413 Too Long"))
            connection.shutdown(socket.SHUT_WR)
            time.sleep(0.2)  # the client meets a closed connection while it is sending, or the answer

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=refuse, daemon=True).start()
        backend = RestServer(f"http://127.0.0.1:{listener.getsockname()[1]}", ModelSpec(), Limits(5))
        with pytest.raises((InvalidRequest, Unavailable)):
            backend.call("describe", {"parts": np.array(["x" * 100_000], object)}, ("json",))


def test_a_connection_is_used_again_and_not_after_it_was_closed_or_has_more_on_it():
    def answer(connection):
        connection.sendall(http(DESCRIBED))
        if len(server.requests) == 3:
            time.sleep(0.05)
            connection.sendall(http({"outputs": ['{"k": 666}']}))

    with RawServer(answer) as server, Recommender.from_rest(server.address, timeout=5) as recommender:
        for connections in (1, 1, 1, 2):
            assert recommender.describe() == ABOUT
            assert server.connections == connections
            time.sleep(0.1 * (len(server.requests) == 3))
    closing = sends(http(DESCRIBED, "200 OK", "Connection: close"))
    with RawServer(closing) as server, Recommender.from_rest(server.address, timeout=5) as recommender:
        assert recommender.describe() == recommender.describe() == ABOUT


def test_the_environment_changes_nothing(monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password secret\n")
    with RawServer(sends(http(b"", "500 Proxy"))) as proxy, RawServer(sends(http(DESCRIBED))) as server:
        monkeypatch.setenv("HOME", str(tmp_path))
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.address)
        assert describe(server) == ABOUT
        assert proxy.connections == 0
        assert b"authorization" not in server.requests[0][0].lower()
