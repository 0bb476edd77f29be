"""Clients that do not end their request, do not read their answer, or are there when the server ends."""

import contextlib
import json
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
import requests
from serving_folder import serving
from tiny_models import publish

from gdns_tf.server.model_server import Limits
from gdns_tf.server.servable import Servable

BEGUN = b"POST /v1/models/tiny:predict HTTP/1.1\r\n"
SLOW = {
    "nothing": (b"", b""),
    "half a line": (b"POST /v1", b""),
    "headers": (BEGUN, b"x: y\r\n"),
    "a header": (BEGUN + b"x: ", b"y"),
    "half of a second request": (b"GET /healthz HTTP/1.1\r\n\r\nPOST /", b""),
}


@pytest.fixture(scope="module")
def quick(saved, tmp_path_factory):
    """A server that waits for nothing longer than .3 s, and takes 10 kB."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    publish(saved / "1", folder)
    with serving(folder, name="tiny", limits=Limits(max_request_bytes=10_000, timeout=0.3)) as server:
        yield server


def connection_to(server):
    address = urlsplit(server.rest_address)
    return socket.create_connection((address.hostname, address.port), 10)


def all_that_comes(connection, drip=b""):
    """The bytes until the server closes; drips meanwhile, which may meet a closed connection, and lose the answer."""
    answer, until = b"", time.monotonic() + 20
    connection.settimeout(0.03)
    while time.monotonic() < until:
        try:
            if not (part := connection.recv(65536)):
                return answer
            answer += part
        except TimeoutError:
            with contextlib.suppress(ConnectionError):
                connection.sendall(drip)
        except ConnectionError:
            return answer
    pytest.fail(f"it is still open after 20 s, and has said {answer}")


@pytest.mark.parametrize("kind", SLOW)
def test_headers_are_not_waited_for_for_ever(quick, kind):
    first, drip = SLOW[kind]
    with connection_to(quick) as connection:
        connection.sendall(first)
        all_that_comes(connection, drip)
    assert requests.get(f"{quick.rest_address}/healthz", timeout=5).ok


@pytest.mark.parametrize("drip", [b"", b"1"])
def test_a_body_that_does_not_come_is_an_error(quick, drip):
    with connection_to(quick) as connection:
        connection.sendall(BEGUN + b"Connection: close\r\nContent-Length: 9999\r\n\r\n{")
        answer = all_that_comes(connection, drip)
    if answer or not drip:
        assert answer.startswith(b"HTTP/1.1 504 ")
        assert b"the request has not come within 0.3 s" in answer


def test_an_answer_that_is_not_read_is_thrown_away(quick, monkeypatch):
    monkeypatch.setattr("gdns_tf.server.rest.predict_json", lambda *_: b" " * 30_000_000)
    body = b'{"inputs": [1]}'
    with connection_to(quick) as connection:
        connection.sendall(BEGUN + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        until = time.monotonic() + 20
        while not quick._uvicorn.server_state.connections and time.monotonic() < until:
            time.sleep(0.01)
        while quick._uvicorn.server_state.connections and time.monotonic() < until:
            time.sleep(0.01)
        assert not quick._uvicorn.server_state.connections


def test_long_requests_are_held_up_to_a_number(saved, tmp_path):
    """16 of the longest at a time; what is held is given back, whatever became of it."""
    publish(saved / "1", tmp_path / "tiny")
    head = BEGUN + b"Connection: close\r\nContent-Length: 10000\r\n\r\n"
    with serving(tmp_path / "tiny", name="tiny", limits=Limits(max_request_bytes=10_000, timeout=30)) as server:
        url = f"{server.rest_address}/v1/models/tiny:predict"

        def status():
            return requests.post(url, data=json.dumps({"inputs": [1.0] * 1900}), timeout=30).status_code

        def wait_for(wanted):
            until = time.monotonic() + 20
            while status() != wanted:
                assert time.monotonic() < until
                time.sleep(0.02)

        assert status() == 200
        with contextlib.ExitStack() as stack:
            for _ in range(16):
                stack.enter_context(connection_to(server)).sendall(head + b" " * 9_999)
            wait_for(503)
        wait_for(200)  # when those have gone


def test_who_waits_when_the_server_ends_is_told_to_try_again(saved, tmp_path, monkeypatch):
    publish(saved / "1", tmp_path / "tiny")
    go_on, entered = threading.Event(), threading.Event()
    monkeypatch.setattr(Servable, "run", lambda *_: (entered.set(), go_on.wait(30), {})[2])
    server = serving(tmp_path / "tiny", name="tiny", limits=Limits(timeout=60)).__enter__()
    with connection_to(server) as connection:
        connection.sendall(BEGUN + b"Connection: close\r\nContent-Length: 15\r\n\r\n" + b'{"inputs": [1]}')
        assert entered.wait(10)
        server._uvicorn.config.timeout_graceful_shutdown = 0.05
        ending = threading.Thread(target=server.__exit__)
        ending.start()
        answer = all_that_comes(connection)
        go_on.set()
        ending.join(30)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"the server is ending" in answer
