"""What a stage of the big run is said to have taken."""

import json
import re

import pytest

from gdns_tf.benchmarks.big_run import run_stage
from pipelines.errors import InputError

HOG = "import time; b = bytearray(300 << 20); time.sleep(1.5); print('done')"


def test_memory_is_that_of_a_process_and_its_children(tmp_path):
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOG!r}], check=True)"
    stage = run_stage("hog", ["-c", child], tmp_path / "log")
    assert 300 / 1024 <= stage.peak_gib < 1
    assert stage.seconds >= 1.5
    assert stage.said == "done"


def test_of_an_evaluation_its_metrics_are_told(tmp_path):
    summary = {
        "num_evaluated": 1234,
        "metrics": {"mrr": 0.5},
        "comparison": {"model": "other", "metrics": {"mrr": 0.25}},
    }
    stage = run_stage("evaluate", ["-c", f"print('a table'); print({json.dumps(summary)!r})"], tmp_path / "log")
    assert stage.said == "1,234 users: mrr 0.5000 (0.2500); in brackets other"


def test_a_stage_that_fails_is_told_with_its_last_words(tmp_path):
    with pytest.raises(InputError, match=re.escape("the stage bad ended with 1: no room")) as caught:
        run_stage("bad", ["-c", "raise SystemExit('no room')"], tmp_path / "log")
    assert str(tmp_path / "log") in str(caught.value)
