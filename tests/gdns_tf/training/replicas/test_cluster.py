"""Who a worker is: by TF_CONFIG as TensorFlow reads it, or by an indexed Job."""

import json

import pytest
from tensorflow.python.distribute import multi_worker_util

from gdns_tf.training.replicas.cluster import cluster_of, tf_config
from pipelines.errors import InputError

JOB = {"GDNS_WORKERS": "3", "GDNS_WORKER_ADDRESS": "train-{index}.train:2222", "JOB_COMPLETION_INDEX": "2"}


def told(jobs, kind="worker", index=0):
    return {"TF_CONFIG": json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})}


@pytest.mark.parametrize(
    ("jobs", "kind", "index"),
    [
        ({"worker": ["a:1", "b:1"]}, "worker", 1),
        ({"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "worker", 1),
        ({"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "chief", 0),
    ],
)
def test_workers_are_numbered_as_by_tensorflow(jobs, kind, index):
    found = cluster_of(told(jobs, kind, index))
    assert found.number == multi_worker_util.id_in_cluster(jobs, kind, index)
    assert found.addresses == tuple(f"{host}:1" for host in "abc"[: sum(map(len, jobs.values()))])
    assert (found.number == 0) == multi_worker_util.is_chief(jobs, kind, index)


def test_a_pod_of_an_indexed_job_knows_its_cluster():
    found = cluster_of(JOB)
    assert found.addresses == ("train-0.train:2222", "train-1.train:2222", "train-2.train:2222")
    assert found.number == 2
    assert json.loads(tf_config(JOB))["task"] == {"type": "worker", "index": 2}


def test_tf_config_wins_over_a_job():
    assert cluster_of(JOB | told({"worker": ["x:1", "y:1"]}, index=1)).addresses == ("x:1", "y:1")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "finds no cluster: TF_CONFIG is not set"),
        ({name: JOB[name] for name in ("GDNS_WORKERS", "GDNS_WORKER_ADDRESS")}, "finds no cluster"),
        (JOB | {"GDNS_WORKERS": "three"}, "whole numbers"),
        (JOB | {"GDNS_WORKER_ADDRESS": "train:2222"}, r"lacks \{index\}"),
        (JOB | {"JOB_COMPLETION_INDEX": "3"}, "3 workers, and none of the number 3"),
        ({"TF_CONFIG": "{"}, "not as TensorFlow has it"),
        ({"TF_CONFIG": "[]"}, "not as TensorFlow has it"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}}'}, "not as TensorFlow has it"),
        (told({"worker": ["a:1"], "ps": ["b:1"]}), "a job ps"),
        (told({"worker": ["a:1"]}, "evaluator"), "a job evaluator"),
        (told({"worker": ["a:1", "a:1"]}), "HOST:PORT of its own"),
        (told({"worker": ["a", "b"]}), "HOST:PORT of its own"),
        (told({"worker": ["a:1"]}, index=-1), "none of the number -1"),
    ],
)
def test_what_is_no_cluster_is_refused_with_a_remedy(environment, message):
    with pytest.raises(InputError, match=rf"{message}.* Set TF_CONFIG in each worker's environment"):
        cluster_of(environment)
