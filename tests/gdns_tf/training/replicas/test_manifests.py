"""The files of configs/cluster: Kubernetes' schemas, that what they name is there, and that their command is one."""

import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from gdns_tf.command import PEER_LOST
from gdns_tf.flagfiles import FOR_TRAINING, flags_of, with_recipes
from gdns_tf.flags import from_flags
from gdns_tf.training.config import TrainConfig
from gdns_tf.training.replicas.cluster import INDEX, WORKERS, cluster_of
from pipelines.config import DataConfig

FOLDER = Path(__file__).parents[4] / "configs/cluster"
VERSIONS = ("1.31", kubernetes_validate.latest_version())
"""The first in which a policy for failed pods is stable, and the newest."""


def read(name):
    (made,) = yaml.safe_load_all((FOLDER / name).read_text())
    return made


JOB, SERVICE, VOLUME = read("job.yml"), read("service.yml"), read("volume.yml")
POD = JOB["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
ENVIRONMENT = {each["name"]: each["value"] for each in CONTAINER["env"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("made", [JOB, SERVICE, VOLUME], ids=lambda made: made["kind"])
def test_the_schemas(made, version):
    kubernetes_validate.validate(made, version, strict=True)


def test_the_schemas_see_a_mistyped_field():
    wrong = JOB | {"spec": JOB["spec"] | {"podFailurePolicies": {}}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_the_kustomization_has_every_object():
    assert set(read("kustomization.yml")["resources"]) == {"job.yml", "service.yml", "volume.yml"}


def test_every_pod_finds_all_others_by_their_names():
    assert JOB["spec"]["completionMode"] == "Indexed"
    workers = JOB["spec"]["completions"]
    assert JOB["spec"]["parallelism"] == workers == int(ENVIRONMENT[WORKERS])
    assert POD["subdomain"] == SERVICE["metadata"]["name"]
    assert SERVICE["spec"]["clusterIP"] == "None"
    assert SERVICE["spec"]["publishNotReadyAddresses"] is True
    assert SERVICE["spec"]["selector"].items() <= JOB["spec"]["template"]["metadata"]["labels"].items()
    (port,) = CONTAINER["ports"]
    for number in range(workers):
        found = cluster_of(ENVIRONMENT | {INDEX: str(number)})
        assert found.number == number
        # Kubernetes: an Indexed Job's pods have the host names JOB-INDEX, in the domain of the service.
        names = [f"{JOB['metadata']['name']}-{index}.{POD['subdomain']}" for index in range(workers)]
        assert found.addresses == tuple(f"{name}:{port['containerPort']}" for name in names)


def test_what_is_worth_another_try_is_tried_again():
    rules = JOB["spec"]["podFailurePolicy"]["rules"]
    actions = {code: rule["action"] for rule in rules for code in rule.get("onExitCodes", {}).get("values", [])}
    assert actions == {1: "FailJob", 2: "FailJob", PEER_LOST: "Ignore", 130: "Ignore"}
    assert {rule["onExitCodes"]["containerName"] for rule in rules if "onExitCodes" in rule} == {CONTAINER["name"]}
    assert POD["restartPolicy"] == "Never"


def test_pods_may_do_little_and_share_a_volume():
    assert POD["automountServiceAccountToken"] is False
    assert POD["securityContext"]["runAsNonRoot"]
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == set(volumes)
    assert volumes["work"]["persistentVolumeClaim"]["claimName"] == VOLUME["metadata"]["name"]
    assert VOLUME["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_command_is_one():
    assert CONTAINER["command"] == ["python", "-m", "gdns_tf.train"]
    values = flags_of([TrainConfig, DataConfig], FOR_TRAINING)
    assert values(["", *with_recipes(CONTAINER["args"], [TrainConfig, DataConfig], FOR_TRAINING)]) == [""]
    config = from_flags(TrainConfig, None, values)
    assert config.strategy == "multiworker"
    (mount,) = (mount["mountPath"] for mount in CONTAINER["volumeMounts"] if mount["name"] == "work")
    assert config.output_dir.startswith(f"{mount}/")


def test_the_image_is_that_which_trains_elsewhere():
    text = (FOLDER.parents[1] / "savedmodel/kubernetes/retraining.yml").read_text()
    assert f"image: {CONTAINER['image']}" in text


def test_the_script_for_one_machine_gives_each_worker_its_cluster(tmp_path):
    """A stand-in for Python notes what it is asked, and is killed once."""
    stand_in = tmp_path / "python"
    stand_in.write_text(
        '#!/bin/bash\necho "$TF_CONFIG $*" >> "$NOTES/$(echo "$TF_CONFIG" | tr -dc 0-9 | tail -c 1)"\n'
        '[[ -e $NOTES/again ]] || { touch "$NOTES/again"; exit 75; }\n'
    )
    stand_in.chmod(0o755)
    environment = {"PYTHON": str(stand_in), "NOTES": str(tmp_path), "PORT": "5000", "PATH": "/usr/bin:/bin"}
    command = ["bash", str(FOLDER / "local.sh"), "2", "--dim=4"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    asked = [(tmp_path / str(index)).read_text().splitlines() for index in range(2)]
    assert sorted(map(len, asked)) in ([1, 2], [2, 2])  # both may have come before the note
    for index, lines in enumerate(asked):
        for line in lines:
            config, command = re.fullmatch(r"(\{.*\}) (-m .*)", line).groups()
            found = cluster_of({"TF_CONFIG": config})
            assert (found.number, found.addresses) == (index, ("127.0.0.1:5000", "127.0.0.1:5001"))
            assert command == "-m gdns_tf.train --strategy=multiworker --dim=4"
