"""TensorFlow Serving's REST contract, as an ASGI application (`http_rest_api_handler.cc`, `http_rest_api_util.cc`)."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tensorflow_serving.apis import model_pb2

from gdns_tf.server.json_tensors import encode_json
from gdns_tf.server.metadata import metadata_json, status_json
from gdns_tf.server.metrics import Metrics
from gdns_tf.server.models import Models
from gdns_tf.server.predict import predict_json
from gdns_tf.server.refusal import HTTP_STATUS, Refusal, invalid
from pipelines.notices import notices

METRICS_PATH = "/monitoring/prometheus/metrics"
HEALTH_PATH = "/healthz"
"""Not of TensorFlow Serving: 200 where every model has a version that answers, else 503."""
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
_SPEC = r"/v1/models{name}(?:/versions/(\d+)|/labels/([^/:]+))?"
_POST = re.compile(_SPEC.format(name="/([^/:]+)") + r":(classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(_SPEC.format(name="(?:/([^/:]+))?") + r"(?:/(metadata))?", re.IGNORECASE)
_MOST_LONG_REQUESTS = 16
"""Requests of the greatest length, or as many bytes of shorter ones, that are held at a time."""
_NO_SUCH_PAGE = "Only TensorFlow Serving's REST API is here: /v1/models/NAME[/versions/N|/labels/L][:predict|/metadata]"


class RestApi:
    """Answers HTTP requests; predictions are made in a thread pool, all else on the event loop."""

    def __init__(
        self, models: Models, metrics: Metrics, pool: Executor, *, max_request_bytes: int, timeout: float
    ) -> None:
        """Args:
        models: what to ask.
        metrics: where requests are counted.
        pool: where models run.
        max_request_bytes: the longest body that is read.
        timeout: seconds after which a request, or its answer, is not waited for any more.
        """
        self._models, self._metrics, self._pool = models, metrics, pool
        self._max_request_bytes, self._timeout = max_request_bytes, timeout
        self._held_bytes = 0  # of all bodies that are here; counted on the event loop alone

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route(METRICS_PATH, self._metrics_page, methods=["GET"]),
                Route(HEALTH_PATH, self._health, methods=["GET"]),
                Route("/{path:path}", self._answer, methods=_METHODS),
            ]
        )

    async def _metrics_page(self, _: Request) -> Response:
        text = "\n".join([*self._metrics.lines(), *self._models.lines(), ""])
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def _health(self, _: Request) -> Response:
        ready = self._models.are_ready()
        return _json({"status": "SERVING" if ready else "NOT_SERVING"}, 200 if ready else 503)

    async def _answer(self, request: Request) -> Response:
        began, spec, method, status = time.perf_counter(), model_pb2.ModelSpec(), "", "OK"
        try:
            path = request.scope["raw_path"].decode("latin-1")
            if not path.lower().startswith("/v1/"):
                raise Refusal("NOT_FOUND", _NO_SUCH_PAGE)
            match = {"POST": _POST, "GET": _GET}.get(request.method, re.compile("(?!)")).fullmatch(path)
            if not match:
                raise invalid(f"Malformed request: {request.method} {path}")
            _fill(spec, *match.groups()[:3])
            method = (match[4] or "").lower()
            answer = await (self._post(request, spec, method) if request.method == "POST" else self._get(spec, method))
            return Response(answer, media_type="application/json")
        except _TooLong as error:
            status = "RESOURCE_EXHAUSTED"
            return _json({"error": str(error)}, 413)
        except Refusal as refusal:
            status = refusal.code
            return _json({"error": refusal.message}, HTTP_STATUS.get(status, 500))
        except ClientDisconnect:
            status = "CANCELLED"
            return Response(status_code=HTTP_STATUS[status])
        except asyncio.CancelledError:  # by uvicorn, which waits no longer: without this, its answer is 500
            status = "UNAVAILABLE"
            return _json({"error": "the server is ending"}, HTTP_STATUS[status])
        except Exception as error:
            status = "INTERNAL"
            notices.exception("REST: %s %s: %r", request.method, request.url.path, error)
            return _json({"error": f"{type(error).__name__}: {error}"}, 500)
        finally:
            name = spec.name if spec.name in self._models else ""  # whatever clients make up must not fill the memory
            self._metrics.request_count.add(name, status)
            if status == "OK":
                self._metrics.request_latency.add(1e6 * (time.perf_counter() - began), name, method, "REST")

    async def _get(self, spec: model_pb2.ModelSpec, method: str) -> bytes:
        if not spec.name:
            raise invalid("Missing model name in request.")
        if method == "metadata":
            with self._models.lease(spec) as servable:
                return encode_json(metadata_json(servable, spec.name))
        return encode_json(status_json(self._models.status(spec)))

    async def _post(self, request: Request, spec: model_pb2.ModelSpec, method: str) -> bytes:
        if method != "predict":
            raise Refusal("UNIMPLEMENTED", f"this server does not {method}: use predict, or TensorFlow Serving")
        with self._room() as body:
            try:
                async with asyncio.timeout(self._timeout):
                    async for part in self._parts(request):
                        self._held_bytes += len(part)
                        body.extend(part)
            except TimeoutError:
                raise Refusal("DEADLINE_EXCEEDED", f"the request has not come within {self._timeout:g} s") from None
            return await self._in_pool(self._predict, spec, body)

    @contextlib.contextmanager
    def _room(self) -> Iterator[bytearray]:
        """A body, which counts among those that are held; it is empty at the end, whoever still knows of it."""
        body = bytearray()
        try:
            yield body
        finally:
            self._held_bytes -= len(body)
            with contextlib.suppress(BufferError):  # of a thread that reads it still, for nobody
                body.clear()

    async def _in_pool(self, call: Callable[..., bytes | Refusal], *arguments: object) -> bytes:
        waiting = asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)
        try:
            answer = await asyncio.wait_for(waiting, self._timeout)  # what has not begun by then never does
        except TimeoutError:
            raise Refusal("DEADLINE_EXCEEDED", f"no answer within {self._timeout:g} s") from None
        if isinstance(answer, Refusal):
            raise answer
        return answer

    def _predict(self, spec: model_pb2.ModelSpec, body: bytearray) -> bytes | Refusal:
        """The answer, or why there is none. A raised error would keep all that was parsed, by its traceback."""
        try:
            with self._models.lease(spec) as servable:
                return predict_json(servable, body)
        except Refusal as refusal:
            return Refusal(refusal.code, refusal.message)

    async def _parts(self, request: Request) -> AsyncIterator[bytes]:
        """The body, as it comes.

        Raises:
          _TooLong, Refusal: it is too long, or there is no room for it.
        """
        length, most = 0, self._max_request_bytes
        too_long = _TooLong(f"the request is longer than this server's limit of {most:,} bytes")
        if int(request.headers.get("content-length", 0)) > most:
            raise too_long
        async for part in request.stream():
            length += len(part)
            if length > most:
                raise too_long
            if self._held_bytes + len(part) > _MOST_LONG_REQUESTS * most:
                raise Refusal("UNAVAILABLE", "too many long requests at a time: try again")
            yield part


class _TooLong(Exception):
    """A body that is not read to its end."""


def _fill(spec: model_pb2.ModelSpec, name: str | None, version: str | None, label: str | None) -> None:
    spec.name = unquote(name or "")
    if version:
        if len(version) > 19 or int(version) >= 2**63:
            raise invalid(f"Failed to convert version: {version} to numeric.")
        spec.version.value = int(version)
    elif label:
        spec.version_label = unquote(label)


def _json(value: dict, status: int) -> Response:
    return Response(encode_json(value), status, media_type="application/json")
