"""Clients and servers that are late, slow, wrong or gone; versions, labels and statuses of the server's contract."""

import json
import os
import shutil
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
import pytest
import requests
from serving_folder import model_config, reload, serving
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from gdns_tf.clients import DeadlineExceeded, InvalidRequest, NotFound, Recommender, ServingError, Unavailable
from gdns_tf.server.refusal import Refusal
from gdns_tf.server.servable import Servable

PROTOCOLS = ("grpc", "rest")


@pytest.fixture(params=PROTOCOLS)
def protocol(request):
    return request.param


def connect(protocol, server, *arguments, **options):
    if protocol == "grpc":
        return Recommender.from_grpc(server.grpc_address, *arguments, **options)
    return Recommender.from_rest(server.rest_address, *arguments, **options)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_a_server_that_comes_up_late_is_waited_for(models, protocol):
    folder, oracle = models["int64"]
    port = free_port()
    address = f"127.0.0.1:{port}" if protocol == "grpc" else f"http://127.0.0.1:{port}"
    open_client = Recommender.from_grpc if protocol == "grpc" else Recommender.from_rest
    answers = []
    with open_client(address, timeout=20) as recommender:
        asking = threading.Thread(
            target=lambda: answers.append(recommender.signatures.recommend(oracle.user_ids[:1], 3))
        )
        asking.start()
        time.sleep(0.5)
        assert asking.is_alive()
        with serving(folder, **{f"{protocol}_port": port}):
            asking.join(20)
    (row,) = answers[0]
    assert [(entry.item, entry.score) for entry in row.entries] == oracle.recommend(oracle.user_ids[0], 3)


def test_no_server(protocol):
    port = free_port()
    open_client = Recommender.from_grpc if protocol == "grpc" else Recommender.from_rest
    address = f"127.0.0.1:{port}" if protocol == "grpc" else f"http://127.0.0.1:{port}"
    with pytest.raises(Unavailable, match=rf"127.0.0.1:{port}.*refused.*\(tried \d times in 0.5 s\)"):
        open_client(address, timeout=0.5).describe()


def test_a_slow_server_is_not_waited_for_longer_than_asked(servers, protocol, monkeypatch):
    go_on, run = threading.Event(), Servable.run
    monkeypatch.setattr(Servable, "run", lambda *arguments: (go_on.wait(30), run(*arguments))[1])
    recommender = connect(protocol, servers["int64"], timeout=0.3)
    try:
        with pytest.raises(DeadlineExceeded, match=r"no answer within 0.3 s"):
            recommender.describe()
    finally:
        go_on.set()


def test_wrong_names(servers, protocol):
    server = servers["int64"]
    with pytest.raises(NotFound, match=r"Servable not found for request: Latest\(movies\)"):
        connect(protocol, server, "movies").describe()
    with pytest.raises(NotFound, match=r"Servable not found for request: Specific\(gdns, 7\)"):
        connect(protocol, server, version=7).describe()
    with pytest.raises(InvalidRequest, match="Unrecognized servable version label: stable"):
        connect(protocol, server, label="stable").describe()
    with pytest.raises(ValueError, match="give one of them"):
        connect(protocol, server, version=1, label="stable")


def test_the_servers_message_is_passed_on(servers, protocol):
    backend = connect(protocol, servers["int64"]).signatures.backend
    with pytest.raises(InvalidRequest, match="not found"):
        backend.call("recommend", {}, ("item_ids",))
    with pytest.raises(InvalidRequest, match="user_ids"):
        backend.call("serving_default", {}, ("item_ids",))


def test_a_model_of_something_else(servers, protocol):
    backend = connect(protocol, servers["int64"]).signatures.backend
    users = np.array([1, 2])
    with pytest.raises(ServingError, match="answers without 'logits': this is not a model that gdns_tf"):
        backend.call("serving_default", {"user_ids": users}, ("item_ids", "logits"))


@pytest.mark.parametrize("status", [200, 404, 503])
def test_not_a_model_server(status):
    class Page(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        recommender = Recommender.from_rest(f"http://127.0.0.1:{server.server_address[1]}", timeout=0.4)
        kind = Unavailable if status == 503 else ServingError
        with pytest.raises(kind, match=f"HTTP {status}, and not TensorFlow Serving's JSON"):
            recommender.describe()
        server.shutdown()


def test_the_rest_port_by_grpc_and_the_other_way_round(servers):
    server = servers["int64"]
    with pytest.raises(ServingError):
        Recommender.from_grpc(server.rest_address.removeprefix("http://"), timeout=0.5).describe()
    with pytest.raises(ServingError):
        Recommender.from_rest(f"http://{server.grpc_address}", timeout=0.5).describe()


def test_grpc_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving", None)
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    monkeypatch.delitem(sys.modules, "gdns_tf.clients.grpc_server", raising=False)
    with pytest.raises(ServingError, match=r"pip install 'gdns_tf\[serving\]'"):
        Recommender.from_grpc("127.0.0.1:8500")


VERSIONS = """model_config_list {{ config {{
  name: "gdns" base_path: "/" model_platform: "tensorflow"
  model_version_policy {{ specific {{ {versions} }} }}
  {labels}
}} }}"""


def specific(versions, **labels):
    numbers = " ".join(f"versions: {version}" for version in versions)
    entries = " ".join(f'version_labels {{ key: "{label}" value: {version} }}' for label, version in labels.items())
    return model_config(VERSIONS.format(versions=numbers, labels=entries))


def test_newest_version_takes_over_and_labels_roll_forward_and_back(models, tmp_path, protocol):
    folder, _ = models["int64"]
    shutil.copytree(folder / "1", tmp_path / "1")
    with serving(tmp_path) as server:
        newest = connect(protocol, server)
        assert newest.describe()["version"] == 1
        about = (models["string"][0] / "1").resolve()
        shutil.copytree(about, tmp_path / ".unfinished-2")
        os.rename(tmp_path / ".unfinished-2", tmp_path / "2")
        assert server.models["gdns"].wait_for(2, 30)
        server.models["gdns"].poll()
        assert newest.describe()["user_id_type"] == "string"
        with pytest.raises(NotFound):
            connect(protocol, server, version=1).describe()

        stable, canary = (connect(protocol, server, label=label) for label in ("stable", "canary"))
        reload(server, tmp_path, specific([1, 2]))
        reload(server, tmp_path, specific([1, 2], stable=1, canary=2))
        assert stable.describe()["user_id_type"] == "int64"
        assert canary.describe()["user_id_type"] == "string"
        reload(server, tmp_path, specific([1, 2], stable=2))
        assert stable.describe()["user_id_type"] == "string"
        reload(server, tmp_path, specific([1], stable=1))
        assert newest.describe()["user_id_type"] == "int64"
        with pytest.raises(Refusal, match="not currently available"):
            reload(server, tmp_path, specific([1], stable=3))


def test_status_and_metadata_of_the_contract(servers):
    server = servers["int64"]
    answer = requests.get(f"{server.rest_address}/v1/models/gdns", timeout=5).json()
    (status,) = answer["model_version_status"]
    assert (status["version"], status["state"], status["status"]["error_code"]) == ("1", "AVAILABLE", "OK")
    metadata = requests.get(f"{server.rest_address}/v1/models/gdns/metadata", timeout=5).json()
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["user_ids"]["dtype"] == "DT_INT64"

    with grpc.insecure_channel(server.grpc_address) as channel:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "gdns"
        response = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=5)
        assert [entry.version for entry in response.model_version_status] == [1]
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = "gdns"
        response = prediction_service_pb2_grpc.PredictionServiceStub(channel).GetModelMetadata(request, timeout=5)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
    wanted = {"serving_default", "retrieve", "rank", "similar_items", "retrieve_by_history", "describe"}
    assert wanted <= set(signatures.signature_def)


def test_rows_by_rest(servers, models):
    server, oracle = servers["int64"], models["int64"][1]
    users = oracle.user_ids[:3]
    url = f"{server.rest_address}/v1/models/gdns:predict"
    instances = [{"user_ids": user} for user in users]
    for body in (
        {"instances": users},
        {"instances": instances},
        {"signature_name": "serving_default", "inputs": users},
    ):
        answer = requests.post(url, data=json.dumps(body), timeout=5).json()
        rows = answer.get("predictions") or [
            dict(zip(answer["outputs"], row, strict=True)) for row in zip(*answer["outputs"].values(), strict=True)
        ]
        for user, row in zip(users, rows, strict=True):
            assert list(zip(row["item_ids"], row["scores"], strict=True)) == oracle.recommend(user, 10)
