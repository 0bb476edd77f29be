"""What a server that has just started says of itself: where it answers, and how to ask it about a user it knows."""

import gdns_tf.keras2  # noqa: F401 (TensorFlow without its noise, so before all that import it)

# isort: split
import json
import shlex
from collections.abc import Iterator
from urllib.parse import quote

import numpy as np
from tensorflow.core.framework import types_pb2

from gdns_tf.server.model_server import ModelServer
from gdns_tf.server.predict import predict_json
from gdns_tf.server.rest import HEALTH_PATH, METRICS_PATH
from gdns_tf.server.servable import Servable
from gdns_tf.server.version_folders import version_folders
from gdns_tf.server.versions import Versions
from gdns_tf.serving.contract import USER_IDS
from gdns_tf.serving.warmup import example_inputs
from pipelines.paths import AnyPath

_SIGNATURE, _ITEMS = "retrieve", 3


def introduction(server: ModelServer) -> Iterator[str]:
    """Lines for the terminal. The examples are run, and their answers shown.

    Args:
      server: one that runs.
    """
    for name, versions in server.models.items():
        numbers = ", ".join(map(str, versions.available())) or "none yet"
        yield f"{name}, version {numbers}: {server.rest_address}/v1/models/{quote(name, safe='')}"
    yield f"gRPC: {server.grpc_address}"
    yield f"metrics: {server.rest_address}{METRICS_PATH}   health: {server.rest_address}{HEALTH_PATH}"
    for name, versions in server.models.items():
        if example := _example(versions):
            body, answer = example
            url = f"{server.rest_address}/v1/models/{quote(name, safe='')}:predict"
            yield ""
            yield f"curl -s {url} -d {shlex.quote(body)}"
            yield answer


def _example(versions: Versions) -> tuple[str, str] | None:
    """A request for a few items for a user of the newest version, and its answer; None where no user is known."""
    if not versions.available():
        return None
    with versions.lease() as servable:
        folder = version_folders(versions.config.base_path).get(servable.version)
        body = example_request(servable, folder) if folder else ""
        return (body, predict_json(servable, body.encode()).decode("utf-8", "replace")) if body else None


def example_request(servable: Servable, folder: AnyPath) -> str:
    """The JSON of a request for the first user of an exported model; empty where it is not one of ours.

    Args:
      servable: the version.
      folder: where it lies.
    """
    if _SIGNATURE not in servable.signatures or not (folder / USER_IDS).exists():
        return ""
    with (folder / USER_IDS).open("rb") as file:
        first = file.readline().decode().rstrip("\n")
    signature = servable.signatures[_SIGNATURE]
    is_int = signature.inputs["user_ids"].dtype == types_pb2.DT_INT64
    users = np.array([first], np.int64 if is_int else object)
    inputs = example_inputs(users, np.zeros(0, object), _ITEMS)[_SIGNATURE]
    named = {name: value.tolist() for name, value in inputs.items()}
    return json.dumps({"signature_name": _SIGNATURE, "inputs": named}, ensure_ascii=False)
