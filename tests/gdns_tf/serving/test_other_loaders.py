"""The exported model through TensorFlow's C++ loader and through `saved_model_cli`."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from brute_force import assert_best, scores_of, unseen
from tensorflow.core.protobuf import saved_model_pb2

USERS = [3, 0, 10**12, 17]


def signature_of(folder, name):
    proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return proto.meta_graphs[0].signature_def[name]


def assert_right(served, item_ids, scores):
    """Rows for USERS; raw ids of the planted set are its numbers."""
    popular = np.bincount(served.dataset.train.items, minlength=served.factors.num_items).astype(float)
    for row, user in enumerate(USERS):
        known = user < served.factors.num_users
        right = scores_of(served.factors, user) if known else popular
        eligible = unseen(served.dataset, user) if known else np.ones(len(popular), bool)
        assert_best(item_ids[row], scores[row], right, eligible)


@pytest.mark.skipif(sys.platform != "linux", reason="the names of TensorFlow's libraries are those of Linux")
def test_the_c_plus_plus_loader_runs_the_default_signature(integer_model, tmp_path):
    signature = signature_of(integer_model.folder, "serving_default")
    outputs = {name: info.name for name, info in signature.outputs.items()}
    inputs = {signature.inputs["user_ids"].name: np.array(USERS, np.int64)}
    np.savez(tmp_path / "request.npz", fetch=np.array(list(outputs.values())), **inputs)
    libraries = Path(tf.sysconfig.get_lib())
    files = [libraries, integer_model.folder, tmp_path / "request.npz", tmp_path / "answer.npz"]
    command = [sys.executable, Path(__file__).with_name("c_api.py"), *files]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "answer.npz") as answer:
        assert answer[outputs["known_user"]].tolist() == [True, True, False, True]
        assert_right(integer_model, answer[outputs["item_ids"]], answer[outputs["scores"]])


def test_saved_model_cli_shows_and_runs_it(integer_model, tmp_path):
    program = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli"]
    where = ["--dir", str(integer_model.folder)]
    run = ["run", *where, "--tag_set", "serve", "--signature_def", "serving_default"]
    run += ["--input_exprs", f"user_ids={USERS}", "--outdir", str(tmp_path)]
    processes = [
        subprocess.Popen([*program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for arguments in (["show", *where, "--tag_set", "serve"], run)
    ]
    results = [process.communicate(timeout=120) for process in processes]
    for process, (_, error) in zip(processes, results, strict=True):
        assert process.returncode == 0, error
    for name in ("serving_default", "retrieve", "rank", "similar_items", "retrieve_by_history", "describe"):
        assert f'"{name}"' in results[0][0]
    assert_right(integer_model, np.load(tmp_path / "item_ids.npy"), np.load(tmp_path / "scores.npy"))
    assert np.load(tmp_path / "known_user.npy").tolist() == [True, True, False, True]
