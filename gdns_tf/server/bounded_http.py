"""uvicorn's HTTP, with bounds on what clients may leave undone: headers without end, and answers that are not read.

uvicorn bounds headers with its other parser alone (h11), which takes several times as long, and waits for ever.
"""

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_BYTES = 1 << 16
"""Of a request's line and headers together, as h11 and most servers have it; or of what follows its body."""


def bounded_http(seconds: float) -> type[HttpToolsProtocol]:
    """A protocol for `uvicorn.Config(http=...)`.

    Args:
      seconds: for a request's line and headers to come, from the connection's or the request's beginning; and for an
        answer to be read.
    """
    return type("BoundedHttp", (_BoundedHttp,), {"seconds": seconds})


class _BoundedHttp(HttpToolsProtocol):
    seconds: float
    _unused_bytes = 0
    """What has come since there was last a whole head, or a part of a body: these are counted by who reads them."""
    _head_timer: TimerHandle | None = None
    _answer_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        self._unused_bytes += len(data)
        super().data_received(data)
        if self._unused_bytes > _MOST_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers are too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._unused_bytes = 0
        self._head_timer = _stopped(self._head_timer)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unused_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unused_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        _stopped(self._answer_timer)
        self._answer_timer = self.loop.call_later(self.seconds, self._abort_unless_read)
        super().on_response_complete()

    def connection_lost(self, error: Exception | None) -> None:
        self._head_timer, self._answer_timer = _stopped(self._head_timer), _stopped(self._answer_timer)
        super().connection_lost(error)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.seconds, self.transport.abort)

    def _abort_unless_read(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()


def _stopped(timer: TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
