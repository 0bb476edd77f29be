"""`python -m gdns_tf.serve`: what it says, that its example works as it stands, and how it ends."""

import json
import re
import shlex
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import requests
from planted_runs import PLANTED, random_factors

from gdns_tf import serve
from gdns_tf.clients import Recommender
from gdns_tf.command import exit_code
from gdns_tf.evaluation.top_items import top_items
from gdns_tf.server import packages
from gdns_tf.serving.export import export_model
from pipelines.load import load_dataset


@pytest.fixture
def run(capsys):
    """Runs the command in this process; returns its exit code, what it printed and its messages."""

    def run(*arguments):
        code = exit_code(serve.main, serve.__doc__, [serve.ServeConfig], ["serve", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


class Process:
    """The command, running; its lines are read as they come."""

    def __init__(self, *arguments):
        command = [sys.executable, "-m", "gdns_tf.serve", *arguments, "--port=0", "--rest_api_port=0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines, self._changed = [], threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def line(self, pattern, seconds=120):
        """The first match of a line, now or later."""
        with self._changed:
            found = lambda: next(filter(None, (re.search(pattern, line) for line in self.lines)), None)  # noqa: E731
            match = self._changed.wait_for(found, seconds)
            assert match, f"no line is like {pattern}: {self.lines}"
            return match

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._reader.join(60)
        return code

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


def test_from_the_first_line_to_the_last(tmp_path):
    dataset = load_dataset(PLANTED)
    factors = random_factors(dataset)
    export_model(factors, dataset, tmp_path / "planted", k=10, export_anyway=True)
    (tmp_path / "empty").mkdir()
    process = Process(f"--model={tmp_path / 'planted'}", f"--model={tmp_path / 'empty'}")
    try:
        curl = shlex.split(process.line(r"^curl -s http.*")[0])
        url, body = curl[2], curl[4]
        answer = json.loads(process.line(r'^\{"outputs".*')[0])
        assert requests.post(url, data=body, timeout=30).json() == answer
        (user,) = json.loads(body)["inputs"]["user_ids"]
        number = dataset.train.user_ids.tolist().index(user)
        best = top_items(factors, dataset.all_interactions(), [number], 3)[0]
        assert answer["outputs"]["item_ids"] == [dataset.train.item_ids[best].tolist()]
        np.testing.assert_allclose(
            answer["outputs"]["scores"][0], factors.items[best] @ factors.queries[number], rtol=1e-5
        )
        with Recommender.from_grpc(process.line(r"^gRPC: (\S+)")[1], "planted") as recommender:
            assert recommender.describe()["num_items"] == dataset.train.num_items
            assert recommender.recommend([user], 3)["item"].tolist() == answer["outputs"]["item_ids"][0]
        assert "not TensorFlow Serving" in process.lines[0]
        process.line(f"^warning: empty: there is no version in {tmp_path}/empty yet")
        process.line(r"^planted: version 1 is served \(loaded in .* s, 8 warm-up requests in .* s\)$")
        assert process.process.poll() is None
    finally:
        code = process.end()
    assert code == 0, process.lines
    assert process.lines[-2:] == ["answering what is under way ...", "planted: version 1 is unloaded"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model="], "--model is not set"),
        (
            ["--model=/no/such/folder", "--port=0", "--rest_api_port=0"],
            "/no/such/folder: there is no such folder. Write a model there: python -m gdns_tf",
        ),
        (["--model=a/x", "--model=b/x"], "--model=a/x and --model=b/x would both be called 'x'"),
        (["--port=70000"], "--port=70000 must be at most 65,535"),
        (["--port=9", "--rest_api_port=9"], "--port and --rest_api_port are both 9"),
        (["--max_request_mb=0"], "--max_request_mb=0.0 must be above 0"),
        (["--file_system_poll_wait_seconds=-1"], "--file_system_poll_wait_seconds=-1.0 must be 0 or more"),
        (["--file_system_poll_wait_seconds=1e300"], "--file_system_poll_wait_seconds=1e+300 must be at most 86,400"),
        (["--max_request_mb=1e10"], "--max_request_mb=10000000000.0 must be at most 2,000"),
        (["--rest_api_timeout_in_ms=1e12"], "must be at most 86,400,000"),
        (["--threads=-1"], "--threads=-1 must be 0 or more"),
        (["--threads=99999"], "--threads=99999 must be at most 1,024"),
        (["--host="], "--host='' is no address"),
        (["--host=a..b", "--port=0", "--rest_api_port=0"], "--host=a..b: there is no such host"),
        (["--tls_cert_file=x"], "--tls_cert_file and --tls_key_file go together"),
        (["--tls_ca_file=x"], "--tls_cert_file and --tls_key_file go together, and --tls_ca_file with both"),
        (["--tls_cert_file=x", "--tls_key_file=y"], "x and y: no certificate and its key in PEM"),
    ],
)
def test_what_cannot_work(run, flags, message):
    code, _, err = run(*flags)
    assert code == 1
    assert message in err


def test_missing_packages(run, monkeypatch):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None if name == "uvicorn" else name)
    code, out, err = run("--model=x")
    assert (code, out) == (1, "")
    assert err == "error: the server needs uvicorn. Install what is missing: pip install 'gdns_tf[serve]'\n"


def test_help_says_what_it_is_not(run):
    code, out, _ = run("--help")
    assert code == 0
    assert "This is not TensorFlow Serving" in out
    assert "--model " in out
