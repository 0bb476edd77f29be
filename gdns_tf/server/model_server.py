"""The server: models, a REST port, a gRPC port and one pool of threads in which the models run."""

import gdns_tf.keras2  # noqa: F401 (TensorFlow without its noise, so before all that import it)

# isort: split
import errno
import math
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import uvicorn

from gdns_tf.server.bounded_http import bounded_http
from gdns_tf.server.grpc_services import Readable, add_services
from gdns_tf.server.metrics import Metrics
from gdns_tf.server.models import Models, ServerConfig
from gdns_tf.server.rest import RestApi
from gdns_tf.server.tls import Tls
from pipelines.errors import InputError

_BACKLOG = 2048
"""Connections that may wait to be accepted: clients may come all at once."""
_KEEP_ALIVE = 75
"""Seconds that a connection may be idle."""


@dataclass(frozen=True)
class Limits:
    """What a server spends at most."""

    threads: int = 8
    """Requests that are worked on at a time; others wait."""
    max_request_bytes: int = 16_000_000
    """Of one request. Longer ones are refused. As JSON a request may take some 25 times its length, for a moment."""
    timeout: float = 30.0
    """Seconds for a REST request, its arrival included, and for those that are under way when the server is stopped."""


class ModelServer:
    """Serves models by REST and gRPC while the `with` block lasts; at its end requests under way are still answered.

    Example:
      with ModelServer(server_config(["savedmodel/models/shop"]), rest_port=8501, grpc_port=8500) as server:
          print(server.rest_address, server.grpc_address)
          ...
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        host: str = "127.0.0.1",
        rest_port: int = 0,
        grpc_port: int = 0,
        poll_seconds: float = 1.0,
        limits: Limits | None = None,
        tls: Tls | None = None,
    ) -> None:
        """Args:
        config: the models; see `server_config`.
        host: the name or address to listen on.
        rest_port, grpc_port: 0 for a free one.
        poll_seconds: how often the models' folders are looked at.
        limits: what is spent at most.
        tls: certificates; None: without TLS.
        """
        self._config, self._host, self._poll_seconds = config, host, poll_seconds
        self._rest_port, self._grpc_port = rest_port, grpc_port
        self._limits, self._tls = limits or Limits(), tls
        self.metrics = Metrics()
        self.models: Models
        """The models, once the server runs."""
        self.rest_address = self.grpc_address = ""
        """`http://host:port` and `host:port` (`https://`, `grpcs://`), once the server runs."""

    def __enter__(self) -> "ModelServer":
        """Takes the ports, loads the models, and begins to answer.

        Raises:
          InputError: a port cannot be had, or a model's folder is not there.
        """
        self._listener = _bound(self._host, self._rest_port)
        self._pool = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="model")
        try:
            self._grpc, grpc_port = self._grpc_server()
            self.models = Models(self._config, self.metrics, self._poll_seconds)
            _listen(self._listener, self._host)
        except BaseException:
            self._listener.close()
            self._pool.shutdown()
            raise
        add_services(self._grpc, self.models, self.metrics)
        self._grpc.start()
        self._uvicorn = self._rest_server()
        self._rest_thread = threading.Thread(
            target=self._uvicorn.run, args=([self._listener],), name="rest", daemon=True
        )
        self._rest_thread.start()
        host = _reachable(self._host)
        self.rest_address = f"http{'s' * bool(self._tls)}://{host}:{self._listener.getsockname()[1]}"
        self.grpc_address = f"{'grpcs://' * bool(self._tls)}{host}:{grpc_port}"
        return self

    def __exit__(self, *_: object) -> None:
        """Takes no more requests, answers those under way, and lets the models go."""
        self._uvicorn.should_exit = True
        stopped = self._grpc.stop(self._limits.timeout)
        self._rest_thread.join()
        stopped.wait()
        self._pool.shutdown()
        self.models.close()

    def _grpc_server(self) -> tuple[grpc.Server, int]:
        options = {
            "grpc.so_reuseport": 0,  # else a second server would get a part of the requests, and no error
            "grpc.max_receive_message_length": self._limits.max_request_bytes,
            "grpc.max_send_message_length": -1,
        }
        server = grpc.server(self._pool, interceptors=[Readable()], options=list(options.items()))
        host = f"[{self._host}]" if ":" in self._host else self._host
        _bound(self._host, self._grpc_port, "port").close()  # gRPC does not tell why it cannot have an address
        address = f"{host}:{self._grpc_port}"
        if self._tls:
            return server, server.add_secure_port(address, self._tls.grpc_credentials())
        return server, server.add_insecure_port(address)

    def _rest_server(self) -> uvicorn.Server:
        api = RestApi(
            self.models,
            self.metrics,
            self._pool,
            max_request_bytes=self._limits.max_request_bytes,
            timeout=self._limits.timeout,
        )
        config = uvicorn.Config(
            api.app(),
            http=bounded_http(self._limits.timeout),
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=math.ceil(self._limits.timeout),
            ssl_context_factory=self._tls and (lambda *_: self._tls.ssl_context()),
        )
        return uvicorn.Server(config)


def _bound(host: str, port: int, setting: str = "rest_api_port") -> socket.socket:
    """A socket on an address, to which nobody can connect yet.

    Raises:
      InputError: the address cannot be had, naming the setting of the port.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:  # the latter of names that no host can have
        raise InputError(f"`host`={host}: {getattr(error, 'strerror', None) or 'there is no such host'}") from None
    family, *_, address = min(found, key=lambda info: info[0] != socket.AF_INET)  # `localhost` is 127.0.0.1 first
    # asyncio sends at once (TCP_NODELAY) only where the protocol is told; else an answer may take 40 ms longer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _unavailable(error, host, port, setting) from None
    return listener


def _listen(listener: socket.socket, host: str) -> None:
    """Lets clients connect: they wait until they are accepted."""
    try:
        listener.listen(_BACKLOG)
    except OSError as error:
        raise _unavailable(error, host, listener.getsockname()[1], "rest_api_port") from None


def _unavailable(error: OSError, host: str, port: int, setting: str) -> InputError:
    if error.errno == errno.EADDRINUSE:
        return InputError(
            f"`{setting}`={port} on {host} is in use", remedy=f"Stop what listens there, or choose another `{setting}`."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return InputError(f"`host`={host} is no address of this machine")
    return InputError(f"`{setting}`={port} on {host} cannot be listened on: {error.strerror or error}")


def _reachable(host: str) -> str:
    """The name by which this machine reaches what listens on a host."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"[{host}]" if ":" in host else host
