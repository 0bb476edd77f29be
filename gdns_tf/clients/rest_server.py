"""TensorFlow Serving by REST: `POST /v1/models/NAME[/versions/V|/labels/L]:predict`."""

import threading
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import numpy as np
import requests

from gdns_tf.clients.backend import Backend, ModelSpec, check_outputs
from gdns_tf.clients.errors import DeadlineExceeded, InvalidRequest, NotFound, ServingError, Unavailable
from gdns_tf.clients.retries import call_with_retries

_ERRORS = {400: InvalidRequest, 404: NotFound, 503: Unavailable, 504: DeadlineExceeded}


class RestServer(Backend):
    """A model on a server's REST port."""

    def __init__(self, address: str, model: ModelSpec, timeout: float) -> None:
        """Args:
        address: `http://host:port` or `https://host:port`; TF Serving's port is 8501 unless set.
        model: which model.
        timeout: seconds for a call, with all its attempts; once an answer has begun, for each wait for more of it.
        """
        self._model, self._timeout = model, timeout
        self._url = f"{address.rstrip('/')}/v1/models/{quote(model.name, safe='')}"
        if model.version is not None:
            self._url += f"/versions/{model.version}"
        elif model.label:
            self._url += f"/labels/{quote(model.label, safe='')}"
        self._per_thread = threading.local()  # a requests.Session is not made for several threads

    def call(self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        body = {"signature_name": signature, "inputs": {name: value.tolist() for name, value in inputs.items()}}
        answer = call_with_retries(lambda left: self._attempt(body, left), self._timeout)
        if len(outputs) == 1 and not isinstance(answer, dict):  # a single output comes without its name
            answer = {outputs[0]: answer}
        check_outputs(answer, outputs, signature)
        return {name: _array(answer[name]) for name in outputs}

    def _attempt(self, body: dict, seconds: float) -> object:
        try:
            response = self._session.post(f"{self._url}:predict", json=body, timeout=seconds)
        except requests.ReadTimeout as error:
            raise DeadlineExceeded(f"{self._url}: no answer within {self._timeout:g} s") from error
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise Unavailable(f"{self._url}: {_reason(error)}") from error
        except requests.RequestException as error:
            raise ServingError(f"{self._url}: {error}") from error
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not ({"outputs", "error"} & answer.keys()):
            kind = Unavailable if response.status_code == 503 else ServingError
            raise kind(
                f"{self._url}: HTTP {response.status_code}, and not TensorFlow Serving's JSON: is that its REST port?"
            )
        if not response.ok:
            raise _ERRORS.get(response.status_code, ServingError)(
                f"{self._url}: {answer.get('error', answer)} (HTTP {response.status_code})"
            )
        return answer["outputs"]

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._per_thread, "session"):
            self._per_thread.session = requests.Session()
        return self._per_thread.session


def _array(value: list) -> np.ndarray:
    """A nested list as an array; its strings as objects."""
    array = np.array(value)
    return np.array(value, object) if array.dtype.kind == "U" else array


def _reason(error: Exception) -> str:
    """The innermost cause in a chain of wrapped network errors."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error)
