"""The scripts in the server's container: what the server is started with, and when it counts as ready."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from shutil import copytree

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

CONFIG = Path(__file__).parents[2] / "savedmodel/config"
SERVER = """#!/bin/bash
trap 'echo stopped > "$TMPDIR/stopped"; exit 0' TERM
printf '%s\\n' "$@" > "$TMPDIR/arguments.new"; mv "$TMPDIR/arguments.new" "$TMPDIR/arguments"
while :; do read -rt 0.02 <> <(:) || :; done
"""


def until(holds):
    deadline = time.monotonic() + 60
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@pytest.fixture
def started(tmp_path):
    """serve.sh with a stand-in for the server, on a copy of the configuration; arguments -> its process."""
    copytree(CONFIG, tmp_path / "config")
    (tmp_path / "tensorflow_model_server").write_text(SERVER)
    (tmp_path / "tensorflow_model_server").chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path), "RELOAD_SECONDS": "0.05"}
    processes = []

    def start(*arguments, **variables):
        command = ["bash", tmp_path / "config/serve.sh", *arguments]
        environment = path | variables
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the loop that follows models.config goes with its container
        process.communicate()


def served(tmp_path):
    parsed = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((tmp_path / "models.config").read_text(), parsed)
    return [(one.name, one.base_path, one.model_version_policy) for one in parsed.model_config_list.config]


def test_the_server_gets_its_files_its_model_and_signals(started, tmp_path):
    process = started("--enable_batching", MODEL="shop")
    arguments = until(lambda: (tmp_path / "arguments").exists() and (tmp_path / "arguments").read_text()).splitlines()
    assert arguments[-1] == "--enable_batching"
    given = dict(argument.partition("=")[::2] for argument in arguments)
    assert given["--model_config_file"] == str(tmp_path / "models.config")
    assert Path(given["--monitoring_config_file"]).is_file()
    assert (given["--port"], given["--rest_api_port"]) == ("8500", "8501")
    ((name, base_path, policy),) = served(tmp_path)
    assert (name, base_path, policy.latest.num_versions) == ("shop", "/models/shop", 2)
    os.kill(process.pid, signal.SIGTERM)  # as Docker does, to the first process alone
    until(lambda: (tmp_path / "stopped").exists())
    assert process.wait(60) == 0


def test_rolling_back_is_an_edit_and_half_an_edit_is_passed_over(started, tmp_path):
    started(MODEL="shop", MODELS="gs://bucket/models")
    until(lambda: (tmp_path / "arguments").exists())
    source = tmp_path / "config/models.config"
    text = source.read_text()
    pinned = text.replace("latest {\n        num_versions: 2\n      }", "specific { versions: 7 }")
    source.write_text(pinned[: len(pinned) // 2])
    source.unlink()
    source.write_text("")
    source.write_text(pinned)
    until(lambda: served(tmp_path)[0][2].specific.versions == [7])
    assert served(tmp_path)[0][:2] == ("shop", "gs://bucket/models/shop")


def test_without_a_model_there_is_no_server(started):
    process = started()
    assert process.wait(60) != 0
    assert b"MODEL: is not set" in process.stderr.read()


def status(state, code="OK", message=""):
    """A model's status as TensorFlow Serving prints it (its REST guide)."""
    entry = {"version": "7", "state": state, "status": {"error_code": code, "error_message": message}}
    return 200, json.dumps({"model_version_status": [entry]}, indent=1)


@pytest.mark.parametrize(
    ("answers", "is_ready"),
    [
        (status("AVAILABLE"), True),
        (status("LOADING"), False),
        (status("START", "UNAVAILABLE", "AVAILABLE soon"), False),
        (status("END", "UNAVAILABLE", "the server said UNAVAILABLE"), False),
        ((404, '{ "error": "Could not find any versions of model shop" }'), False),
        (None, False),
    ],
)
def test_ready_is_a_version_that_is_available(answers, is_ready):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            code, body = answers
            asked.append(self.path)
            self.send_response(code)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    asked, server = [], HTTPServer(("127.0.0.1", 0), Handler)
    port = server.server_address[1]
    if answers is None:
        server.server_close()  # nobody listens
    else:
        threading.Thread(target=server.handle_request, daemon=True).start()
    environment = {"PATH": os.environ["PATH"], "MODEL": "shop", "REST_PORT": str(port)}
    done = subprocess.run(["bash", CONFIG / "ready.sh"], env=environment, capture_output=True, timeout=60)
    server.server_close()
    assert (done.returncode == 0) == is_ready
    assert asked == (["/v1/models/shop"] if answers else [])
