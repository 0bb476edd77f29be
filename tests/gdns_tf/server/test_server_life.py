"""A server's beginning and end: ports, folders, names, requests under way."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import requests
from serving_folder import serving
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from tiny_models import publish

from gdns_tf.server.introduction import introduction
from gdns_tf.server.model_server import ModelServer
from gdns_tf.server.models import server_config
from gdns_tf.server.servable import Servable
from gdns_tf.serving.tensor_protos import proto_from_array
from pipelines.errors import InputError


@pytest.fixture
def folder(saved, tmp_path):
    publish(saved / "1", tmp_path / "tiny")
    return tmp_path / "tiny"


def version_by_rest(address, name="tiny"):
    answer = requests.post(f"{address}/v1/models/{name}:predict", data='{"inputs": [1]}', timeout=30)
    return answer.json()["outputs"]["version"]


def version_by_grpc(address):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "tiny"
    request.inputs["x"].CopyFrom(proto_from_array(np.ones(1, np.float32)))
    with grpc.insecure_channel(address) as channel:
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=30)
        return list(answer.outputs["version"].int_val)


def wait_until_shut(address):
    port = int(address.rpartition(":")[2])
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return
        time.sleep(0.02)
    pytest.fail("one can still connect")


def test_requests_under_way_are_answered_when_the_server_ends(folder, monkeypatch):
    entered, go_on, run = threading.Semaphore(0), threading.Event(), Servable.run

    def slow_run(*arguments):
        entered.release()
        assert go_on.wait(60)
        return run(*arguments)

    server = serving(folder, name="tiny").__enter__()
    with ThreadPoolExecutor(3) as pool:
        monkeypatch.setattr(Servable, "run", slow_run)
        answers = [pool.submit(version_by_grpc, server.grpc_address), pool.submit(version_by_rest, server.rest_address)]
        for _ in answers:
            assert entered.acquire(timeout=30)
        ending = pool.submit(server.__exit__)
        try:
            wait_until_shut(server.rest_address)
        finally:
            go_on.set()
        ending.result(60)
        assert [answer.result(30) for answer in answers] == [[1], [1]]
    wait_until_shut(server.grpc_address)


@pytest.mark.parametrize("setting", ["rest_api_port", "port"])
def test_a_port_that_is_taken(folder, setting):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = serving(folder, name="tiny", **{"rest_port" if setting == "rest_api_port" else "grpc_port": port})
        with pytest.raises(InputError, match=rf"`{setting}`={port} on 127.0.0.1 is in use\. Stop what listens there"):
            server.__enter__()
    with server:  # what was taken before the failure has been given back
        assert version_by_rest(server.rest_address) == [1]


def test_hosts(folder):
    with pytest.raises(InputError, match=r"`host`=203.0.113.1 is no address of this machine"):
        serving(folder, host="203.0.113.1").__enter__()
    with pytest.raises(InputError, match=r"`host`=no.such.host.invalid: "):
        serving(folder, host="no.such.host.invalid").__enter__()
    with serving(folder, host="0.0.0.0", name="tiny") as server:
        assert server.rest_address.startswith("http://127.0.0.1:")
        assert version_by_rest(server.rest_address) == [1]
        assert version_by_grpc(server.grpc_address) == [1]


def test_folders_that_are_none(folder, tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}/none: there is no such folder. Write a model there: python"):
        serving(tmp_path / "none").__enter__()
    with pytest.raises(
        InputError, match=f"{folder}/1: this is one version of a model. Give the model's folder, {folder}"
    ):
        serving(folder / "1").__enter__()


def test_models_are_called_as_their_folders(saved, folder, tmp_path, monkeypatch, store):
    monkeypatch.chdir(folder)
    publish(saved / "2", tmp_path / "größer")
    with ModelServer(server_config([".", str(tmp_path / "größer/"), f"{store}/models/far"])) as server:
        assert list(server.models) == ["tiny", "größer", "far"]
        assert version_by_rest(server.rest_address) == [1]
        assert version_by_rest(server.rest_address, "größer") == [2]
        lines = list(introduction(server))
    assert lines[:2] == [
        f"tiny, version 1: {server.rest_address}/v1/models/tiny",
        f"größer, version 2: {server.rest_address}/v1/models/gr%C3%B6%C3%9Fer",
    ]
    assert lines[2].startswith("far, version none yet: ")
    assert not any("curl" in line for line in lines), "these models are not ours: no user of theirs is known"
    with pytest.raises(InputError, match=r"`model`=a/x and `model`=b/x/ would both be called 'x'\. Rename"):
        server_config(["a/x", "b/x/"])
