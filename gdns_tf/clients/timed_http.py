"""HTTP/1.1 of which no wait goes beyond a deadline, and no answer beyond a size.

The HTTP libraries for Python bound each wait for bytes, not their sum: a server that sends a byte a second, of its
headers or of the answer, holds a caller as long as it likes. So this is `http.client` with the time left set before
every read and write. It follows no redirect, knows no proxy, no .netrc and no cookie, and asks for no compression:
whatever the environment says, a request and its token go to the address that was given, and nowhere else.
"""

import contextlib
import io
import queue
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, IncompleteRead

_PIECE = 1 << 16
"""Bytes that are written or read at a time."""


@dataclass(frozen=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: Mapping[str, str]
    """By names in any case."""
    body: bytes


class TooLongError(Exception):
    """The answer is longer than is allowed."""


class TimedConnection(HTTPConnection):
    """One connection, for one thread at a time. Closed by whatever goes wrong, it connects anew for the next one."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        """Args:
        host: name or number.
        port: its port.
        context: for TLS; None: without.
        """
        super().__init__(host, port)
        self._context, self._deadline = context, 0.0

    def post(self, path: str, body: bytes, headers: Mapping[str, str], seconds: float, most_bytes: int) -> Answer:
        """Sends a request and waits for the whole answer.

        Args:
          path: of the URL.
          body: what to send.
          headers: beside those of HTTP itself.
          seconds: for connecting, sending and receiving together.
          most_bytes: of the answer's body.

        Raises:
          TimeoutError: the time is over.
          TooLongError: the answer is too long.
          OSError, http.client.HTTPException: no connection, or it breaks off, or the answer is not HTTP.
        """
        self._deadline = time.monotonic() + seconds
        if self.sock is not None and _is_over(self.sock):
            self.close()
        whole = False
        try:
            try:
                self.request("POST", path, _pieces(body), {**headers, "Content-Length": str(len(body))})
            except (BrokenPipeError, ConnectionResetError):
                if self.sock is None:
                    raise
                # A server may refuse what is too long before it has read it; then the answer is there.
            with self.getresponse() as response:
                answer = Answer(response.status, response.headers, b"".join(_parts(response, most_bytes)))
            whole = True
            return answer
        finally:
            if not whole:  # the rest of this answer must not be taken for the next one
                self.close()

    def connect(self) -> None:
        """Connects to the first of the host's addresses that lets it."""
        failure: OSError = ConnectionError("the host's name has no address")
        for family, kind, protocol, _, address in _addresses(self.host, self.port, self._left()):
            self.sock = socket.socket(family, kind, protocol)
            try:
                self._set_timeout()
                self.sock.connect(address)
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._context is not None:
                    self._set_timeout()
                    self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)
                return
            except OSError as error:
                self.close()
                if isinstance(error, ssl.SSLError):
                    raise
                failure = error
        raise failure

    def send(self, data: bytes) -> None:
        """Sends a piece of the request."""
        if self.sock is not None:
            self._set_timeout()
        super().send(data)

    def response_class(self, sock: socket.socket, *arguments: object, **options: object) -> HTTPResponse:
        """What reads the answer; `http.client` calls it."""
        response = HTTPResponse(sock, *arguments, **options)
        response.fp = io.BufferedReader(_TimedReader(response.fp.detach(), lambda: sock.settimeout(self._left())))
        return response

    def _set_timeout(self) -> None:
        self.sock.settimeout(self._left())

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time is over")
        return left


class _TimedReader(io.RawIOBase):
    """Reads from a socket, and sets the time left before each time."""

    def __init__(self, raw: io.RawIOBase, before: Callable[[], None]) -> None:
        self._raw, self._before = raw, before

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int | None:
        self._before()
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _addresses(host: str, port: int, seconds: float) -> list[tuple]:
    """What `socket.getaddrinfo` says, within some time: the system itself may ask dead name servers for long."""
    with contextlib.suppress(OSError):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    answer: queue.SimpleQueue[list[tuple] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answer.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            answer.put(error)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        found = answer.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError("the time is over") from None
    if isinstance(found, OSError):
        raise found
    return found


def _pieces(body: bytes) -> Iterator[memoryview]:
    view = memoryview(body)
    return (view[start : start + _PIECE] for start in range(0, len(body), _PIECE))


def _parts(response: HTTPResponse, most_bytes: int) -> Iterator[bytes]:
    """The body; `read1` hands out what is there, where `read` would wait for more."""
    length = 0
    while part := response.read1(_PIECE):
        length += len(part)
        if length > most_bytes:
            raise TooLongError
        yield part
    if response.length:
        raise IncompleteRead(b"", response.length)


def _is_over(sock: socket.socket) -> bool:
    """Whether an idle connection was closed by the server, or has something on it that nobody asked for."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))
