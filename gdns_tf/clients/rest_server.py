"""TensorFlow Serving by REST: `POST /v1/models/NAME[/versions/V|/labels/L]:predict`."""

import collections
import json
import ssl
from collections.abc import Mapping, Sequence
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from urllib.parse import quote

import numpy as np

from gdns_tf.clients.access import Access
from gdns_tf.clients.address import rest_address
from gdns_tf.clients.backend import Backend, Limits, ModelSpec, check_outputs
from gdns_tf.clients.errors import (
    AccessDenied,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    ServingError,
    Unavailable,
    printable,
)
from gdns_tf.clients.json_arrays import array_from_json
from gdns_tf.clients.retries import RetryBudget, call_with_retries
from gdns_tf.clients.timed_http import Answer, TimedConnection, TooLongError

_ERRORS = {
    400: InvalidRequest,
    401: AccessDenied,
    403: AccessDenied,
    404: NotFound,
    413: InvalidRequest,
    503: Unavailable,
    504: DeadlineExceeded,
}
_LATER = (429, 500, 502, 503, 504)
"""What proxies, and servers that are ending, say without TensorFlow Serving's JSON: to be tried again. (As gRPC has it,
doc/http-grpc-status-mapping.md, but for 500: a server that ends says so, and its model has not been asked.)"""


class RestServer(Backend):
    """A model on a server's REST port."""

    def __init__(
        self, address: str, model: ModelSpec, limits: Limits | None = None, access: Access | None = None
    ) -> None:
        """Args:
        address: `http://host:port` or `https://host:port`; TF Serving's port is 8501 unless set.
        model: which model.
        limits: of time and size.
        access: certificates and a token, for https:// alone.

        Raises:
          InputError: the address is none.
          ServingError: a file of `access` is not what it should be.
        """
        where, access = rest_address(address), access or Access()
        access.require_tls(where.tls)
        self._where, self._limits, self._access = where, limits or Limits(), access
        self._context = access.ssl_context() if where.tls else None
        self._path = f"{where.path}/v1/models/{quote(model.name, safe='')}"
        if model.version is not None:
            self._path += f"/versions/{model.version}"
        elif model.label:
            self._path += f"/labels/{quote(model.label, safe='')}"
        host = f"[{where.host}]" if ":" in where.host else where.host
        self._url = f"http{'s' * where.tls}://{host}:{where.port}{self._path}"
        self._budget = RetryBudget()
        self._idle: collections.deque[TimedConnection] = collections.deque()  # its methods are safe for threads

    def call(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        request = {"signature_name": signature, "inputs": {name: value.tolist() for name, value in inputs.items()}}
        body = json.dumps(request).encode()
        answer = call_with_retries(lambda left: self._attempt(body, left), self._limits.timeout, self._budget)
        if len(outputs) == 1 and not isinstance(answer, dict):  # a single output comes without its name
            answer = {outputs[0]: answer}
        if not isinstance(answer, dict):
            raise ServingError(f"{self._url}: the outputs of signature {signature!r} have no names")
        check_outputs(answer, outputs, signature)
        return {name: array_from_json(answer[name], name) for name in outputs}

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _attempt(self, body: bytes, seconds: float) -> object:
        headers = {"Content-Type": "application/json", **self._access.headers()}
        answer = self._answer(body, headers, seconds)
        said = self._said(answer)
        if answer.status != 200:
            error = f"{self._url}: {printable(said.get('error', said))} (HTTP {answer.status})"
            raise _ERRORS.get(answer.status, ServingError)(error)
        if "outputs" not in said:
            raise ServingError(f"{self._url}: HTTP 200 with an error in it: {printable(said['error'])}")
        return said["outputs"]

    def _answer(self, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
        """What the server sends, whatever it is."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = TimedConnection(self._where.host, self._where.port, self._context)
        try:
            answer = connection.post(f"{self._path}:predict", body, headers, seconds, self._limits.answer_bytes)
        except TimeoutError:
            raise DeadlineExceeded(f"{self._url}: no answer within {self._limits.timeout:g} s") from None
        except TooLongError:
            raise ServingError(
                f"{self._url}: the answer is longer than {self._limits.max_answer_mb:g} MB (`max_answer_mb`): "
                "ask for fewer at a time"
            ) from None
        except ssl.SSLCertVerificationError as error:
            raise ServingError(f"{self._url}: its certificate is not trusted: {error.verify_message}") from error
        except (OSError, RemoteDisconnected, IncompleteRead) as error:
            raise Unavailable(f"{self._url}: {printable(error)}") from error
        except HTTPException as error:
            raise ServingError(f"{self._url}: {type(error).__name__}: this is not HTTP") from error
        self._idle.append(connection)
        return answer

    def _said(self, answer: Answer) -> dict:
        """The JSON of an answer.

        Raises:
          ServingError: it is not TensorFlow Serving's.
        """
        status = f"{self._url}: HTTP {answer.status}"
        if 300 <= answer.status < 400:
            to = printable(answer.headers.get("Location", "nowhere"))
            raise ServingError(f"{status} to {to}: redirects are not followed. Give the server's own address.")
        try:
            said = json.loads(answer.body.decode())
        except (ValueError, RecursionError):
            said = None
        if isinstance(said, dict) and {"outputs", "error"} & said.keys():
            return said
        if answer.status in (401, 403):
            raise AccessDenied(f"{status}: the server does not let this client in")
        encoded = answer.headers.get("Content-Encoding", "identity").lower() != "identity"
        what = "compressed, which was not asked for" if encoded else "and not TensorFlow Serving's JSON"
        kind = Unavailable if answer.status in _LATER else ServingError
        raise kind(f"{status}, {what}: is that its REST port?")
