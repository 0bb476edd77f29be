"""What importing the clients brings along, in a fresh process."""

import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "tf_keras", "pandas", "pyarrow", "requests", "grpc", "tqdm")


def imported_by(program):
    """Names of the heavy packages that a program has imported at its end."""
    program = f"{program}\nimport sys\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_clients_import_nothing_heavy():
    assert imported_by("import gdns_tf.clients") == []


def test_rest_needs_no_tensorflow():
    program = "import gdns_tf.clients as c; c.Recommender.from_rest('http://127.0.0.1:1')"
    assert not {"tensorflow", "pandas", "pyarrow"} & set(imported_by(program))


@pytest.mark.parametrize("module", ["gdns_tf.serving.contract", "pipelines.paths"])
def test_what_they_share_with_the_server_is_light(module):
    assert imported_by(f"import {module}") == []
