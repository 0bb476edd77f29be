"""The cluster that a worker belongs to: TF_CONFIG, or what an indexed Job of Kubernetes says of its pods."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.errors import InputError, shown

TF_CONFIG = "TF_CONFIG"
INDEX, WORKERS, ADDRESS = "JOB_COMPLETION_INDEX", "GDNS_WORKERS", "GDNS_WORKER_ADDRESS"
"""Variables of the environment by which TF_CONFIG is made where it is not set: Kubernetes sets the first in each pod of
an indexed Job, and the manifest the others: how many workers there are, and the address of each, "{index}" in it being
its number, such as "gdns-train-{index}.gdns-train:2222"."""
_REMEDY = (
    'Set TF_CONFIG in each worker\'s environment, such as {"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
    f'"task": {{"type": "worker", "index": 0}}}}; or, in an indexed Job of Kubernetes, {WORKERS} and {ADDRESS}. '
    "See configs/cluster/README.md."
)
_JOBS = ("chief", "worker")


@dataclass(frozen=True)
class Cluster:
    """The workers, and which of them this process is."""

    addresses: tuple[str, ...]
    """HOST:PORT of each; the first is the chief's."""
    number: int
    """Which of them this is, from 0."""


def cluster_of(environment: Mapping[str, str]) -> Cluster:
    """The cluster by the environment.

    Raises:
      InputError: the environment names none, or none that can be used.
    """
    text = tf_config(environment)
    try:
        told = json.loads(text)
        jobs, task = told["cluster"], told["task"]
        addresses = tuple(str(address) for job in _JOBS for address in jobs.get(job, ()))
        number = int(task["index"]) + (len(jobs.get("chief", ())) if task["type"] == "worker" else 0)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{TF_CONFIG} is not as TensorFlow has it", remedy=_REMEDY) from None
    if others := sorted({*map(str, jobs), str(task["type"])} - set(_JOBS)):
        raise InputError(f"{TF_CONFIG} has a job {shown(others[0])}, and here all are workers", remedy=_REMEDY)
    if len(set(addresses)) < len(addresses) or not all(":" in address for address in addresses):
        raise InputError(f"{TF_CONFIG} does not give each worker a HOST:PORT of its own", remedy=_REMEDY)
    if not 0 <= number < len(addresses):
        raise InputError(f"{TF_CONFIG} has {len(addresses)} workers, and none of the number {number}", remedy=_REMEDY)
    return Cluster(addresses, number)


def tf_config(environment: Mapping[str, str]) -> str:
    """TF_CONFIG as it is set, or as an indexed Job implies it.

    Raises:
      InputError: neither is there.
    """
    if environment.get(TF_CONFIG):
        return environment[TF_CONFIG]
    if not all(environment.get(name) for name in (INDEX, WORKERS, ADDRESS)):
        raise InputError(f"`strategy`=multiworker finds no cluster: {TF_CONFIG} is not set", remedy=_REMEDY)
    try:
        index, workers = int(environment[INDEX]), int(environment[WORKERS])
    except ValueError:
        raise InputError(f"{INDEX} and {WORKERS} must be whole numbers", remedy=_REMEDY) from None
    if "{index}" not in environment[ADDRESS]:
        raise InputError(f"{ADDRESS}={shown(environment[ADDRESS])} lacks {{index}}", remedy=_REMEDY)
    addresses = [environment[ADDRESS].replace("{index}", str(number)) for number in range(workers)]
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})


def own_cluster() -> Cluster:
    """The cluster of this process, which TensorFlow finds in TF_CONFIG from then on: all in it are workers."""
    cluster = cluster_of(os.environ)
    task = {"type": "worker", "index": cluster.number}
    os.environ[TF_CONFIG] = json.dumps({"cluster": {"worker": cluster.addresses}, "task": task})
    return cluster
