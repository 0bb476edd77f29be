"""Requests and answers beyond gRPC's 4 MB, and beyond what either side allows."""

import numpy as np
import pytest
from serving_folder import serving
from tiny_models import publish

from gdns_tf.clients import ServingError
from gdns_tf.clients.backend import Limits as ClientLimits
from gdns_tf.clients.backend import ModelSpec
from gdns_tf.clients.grpc_server import GrpcServer
from gdns_tf.clients.rest_server import RestServer
from gdns_tf.server.model_server import Limits


@pytest.fixture(scope="module")
def long_server(saved, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    publish(saved / "1", folder)
    with serving(folder, name="tiny", limits=Limits(max_request_bytes=12_000_000)) as server:
        yield server


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_long_messages(long_server, protocol):
    def join(half, max_answer_mb):
        limits = ClientLimits(20, max_answer_mb)
        if protocol == "grpc":
            backend = GrpcServer(long_server.grpc_address, ModelSpec("tiny"), limits)
        else:
            backend = RestServer(long_server.rest_address, ModelSpec("tiny"), limits)
        try:
            return backend.call("join", {"a": half, "b": half}, ("text",))["text"]
        finally:
            backend.close()

    half = np.array(["x" * 5_000_000], object)
    assert join(half, 32) == half + half  # 10 MB there, 20 back
    with pytest.raises(ServingError, match=r"ask for fewer at a time") as raised:
        join(half, 5)
    assert "max_answer_mb" in str(raised.value)
    with pytest.raises(ServingError, match=r"12000000|12,000,000") as raised:  # the server says what it takes
        join(half + half, 100)
    assert str(raised.value).isprintable()
