"""The files of savedmodel/ say what their schemas know, and do what its README says."""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from serving_folder import model_config, serving

from gdns_tf.clients import Recommender

FOLDER = Path(__file__).parents[3] / "savedmodel"
CONFIG = FOLDER / "config"
# tensorflow-serving-api has no module for these two messages; the fields are those of TF Serving's
# session_bundle_config.proto and monitoring_config.proto.
BATCHING = {
    "max_batch_size": (1, "Int64Value"),
    "batch_timeout_micros": (2, "Int64Value"),
    "max_enqueued_batches": (3, "Int64Value"),
    "num_batch_threads": (4, "Int64Value"),
    "thread_pool_name": (5, "StringValue"),
    "pad_variable_length_inputs": (7, "bool"),
    "enable_large_batch_splitting": (8, "BoolValue"),
    "max_execution_batch_size": (9, "Int64Value"),
}
MONITORING = {"enable": (1, "bool"), "path": (2, "string")}
SERVER_FLAGS = {  # of model_servers/main.cc
    "port",
    "rest_api_port",
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "file_system_poll_wait_seconds",
    "monitoring_config_file",
    "rest_api_timeout_in_ms",
    "num_load_threads",
    "num_unload_threads",
    "enable_batching",
    "batching_parameters_file",
}


def message(name, fields):
    """A new protobuf message with fields name -> (number, type)."""
    field_types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="local", syntax="proto3")
    file.dependency.append("google/protobuf/wrappers.proto")
    described = file.message_type.add(name=name)
    for field, (number, kind) in fields.items():
        entry = described.field.add(name=field, number=number, label=field_types.LABEL_OPTIONAL)
        if kind in ("bool", "string"):
            entry.type = getattr(field_types, f"TYPE_{kind.upper()}")
        else:
            entry.type, entry.type_name = field_types.TYPE_MESSAGE, f".google.protobuf.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"local.{name}"))()


def test_batching_config():
    config = text_format.Parse((CONFIG / "batching.config").read_text(), message("Batching", BATCHING))
    assert config.pad_variable_length_inputs
    assert config.max_batch_size.value >= config.max_execution_batch_size.value >= 1


def test_monitoring_config():
    text = (CONFIG / "monitoring.config").read_text()
    inside = re.fullmatch(r"(?:#.*\n)*prometheus_config \{\n((?:.*\n)*)\}\n", text)[1]
    config = text_format.Parse(inside, message("Monitoring", MONITORING))
    assert config.enable
    assert config.path in (FOLDER / "README.md").read_text()


def test_models_config_serves_the_newest_version_and_keeps_the_one_before(models, tmp_path):
    for version in ("1", "2", "3"):
        shutil.copytree(models["int64"][0] / "1", tmp_path / version)
    config = model_config((CONFIG / "models.config").read_text().replace("$MODEL", "gdns"))
    with serving(tmp_path, config=config) as server:
        for version in (None, 2, 3):
            with Recommender.from_grpc(server.grpc_address, version=version) as recommender:
                assert recommender.describe()["num_items"] == 130
        states = server.models["gdns"].status().model_version_status
        assert [entry.version for entry in states] == [2, 3]


def test_labels_of_the_readme_parse():
    examples = re.findall(r"```proto\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    assert examples
    for example in examples:
        config = model_config(f'model_config_list {{ config {{ name: "gdns" {example} }} }}')
        assert set(config.version_labels.values()) <= set(config.model_version_policy.specific.versions)


def test_the_server_is_started_with_flags_that_it_has():
    for path in (CONFIG / "serve.sh", FOLDER / "docker-compose.batching.yml"):
        flags = set(re.findall(r"^[ -]+--(\w+)", path.read_text(), re.MULTILINE))
        assert flags
        assert flags <= SERVER_FLAGS


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_the_official_server(models, tmp_path):
    """With all of savedmodel's configuration, batching too; over both protocols."""
    program = shutil.which("tensorflow_model_server")
    if not program:
        pytest.skip("tensorflow_model_server is not on PATH")
    folder, oracle = models["int64"]
    shutil.copytree(folder / "1", tmp_path / "gdns/1")
    config = (CONFIG / "models.config").read_text().replace("$MODELS", str(tmp_path)).replace("$MODEL", "gdns")
    (tmp_path / "models.config").write_text(config)
    grpc_port, rest_port = free_port(), free_port()
    command = [
        program,
        f"--port={grpc_port}",
        f"--rest_api_port={rest_port}",
        f"--model_config_file={tmp_path / 'models.config'}",
        f"--monitoring_config_file={CONFIG / 'monitoring.config'}",
        f"--batching_parameters_file={CONFIG / 'batching.config'}",
        "--enable_batching",
    ]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"})
    try:
        for recommender in (
            Recommender.from_grpc(f"127.0.0.1:{grpc_port}", timeout=60),
            Recommender.from_rest(f"http://127.0.0.1:{rest_port}", timeout=60),
        ):
            with recommender:
                for k, options in ((10, {}), (25, {"exclude": oracle.item_ids[:2], "exclude_seen": False})):
                    answer = recommender.signatures.recommend(oracle.user_ids, k, **options)
                    for user, row in zip(oracle.user_ids, answer, strict=True):
                        expected = oracle.recommend(user, k, **options)
                        assert [(entry.item, entry.score) for entry in row.entries] == expected
                assert recommender.describe()["version"] == 1
    finally:
        server.terminate()
        server.wait(30)
