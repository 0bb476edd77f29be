"""Servers that send what they like, byte for byte."""

import contextlib
import json
import socket
import threading
import time


class RawServer:
    """Reads HTTP requests, and answers each as a function wants; to be used in a `with` block.

    Args:
      answer: given the connection, answers the request that has been read from it, or does not.
      context: for TLS.
    """

    def __init__(self, answer, context=None):
        self._answer, self._context = answer, context
        self.requests = []
        """Head and body of each request."""
        self.connections = 0
        self._over = threading.Event()
        self._open = []

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.address = f"http{'s' * bool(self._context)}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()

    def drip(self, connection, data, seconds=0.02):
        """Sends a byte at a time, for as long as somebody listens."""
        for byte in data:
            if self._over.wait(seconds):
                return
            connection.sendall(bytes([byte]))

    def wait(self, *_):
        """Does nothing until the end."""
        self._over.wait(60)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError):  # of clients that have heard enough
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as file:
                while head := self._head(file):
                    self.requests.append((head, file.read(_length(head))))
                    self._answer(connection)

    def _head(self, file):
        lines = b""
        while (line := file.readline()) not in (b"\r\n", b""):
            lines += line
        return lines


def _length(head):
    sizes = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(sizes[0]) if sizes else 0


def http(body=b"", status="200 OK", *headers, length=True):
    """An answer."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(body)}"] if length else [])]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def wait_until(true, seconds=10):
    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    assert true()
