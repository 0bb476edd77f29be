"""The Compose files against Compose's own schema, and what their containers may do; the image of the retraining."""

import json
import re
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "savedmodel"
NAMES = ("docker-compose.yml", "docker-compose.gpu.yml", "docker-compose.batching.yml")
SERVICES = yaml.safe_load((FOLDER / NAMES[0]).read_text())["services"]
SCHEMA = json.loads((resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_the_schema(name):
    jsonschema.validate(yaml.safe_load((FOLDER / name).read_text()), SCHEMA)


def test_the_schema_sees_a_mistyped_field():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"services": {"serving": SERVICES["serving"] | {"readonly": True}}}, SCHEMA)


@pytest.mark.parametrize("name", SERVICES)
def test_containers_may_do_little(name):
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].partition(":")[0]) > 0, "not root, whatever the image says"
    assert {"cpus", "memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert re.search(r":(\$\{\w+:-)?v?\d+\.\d+\.\d+\}?$", service["image"]), "a version, not whatever is newest"
    for port in service["ports"]:
        assert port.startswith("127.0.0.1:"), "no port is open to others unless somebody says so"
    for volume in service["volumes"]:
        source, _, *options = volume.split(":")
        if source.startswith("."):
            assert options == ["ro"]
            assert source == "./models" or (FOLDER / source).exists()


def test_the_server_is_nobody_and_has_its_model_by_one_variable():
    serving = SERVICES["serving"]
    assert int(serving["user"].partition(":")[0]) > 0
    assert serving["entrypoint"] == ["bash", "/config/serve.sh"]
    assert serving["healthcheck"]["test"] == ["CMD", "bash", "/config/ready.sh"]
    assert serving["environment"] == {"MODEL": "${MODEL:-gdns}"}
    assert (FOLDER / NAMES[0]).read_text().count("gdns") == 2  # there, and in the comment's example
    for path in (FOLDER / "config").iterdir():
        assert "gdns" not in path.read_text().replace("gdns_tf", "")


def test_overrides_change_the_server_alone():
    for name in NAMES[1:]:
        (service,) = yaml.safe_load((FOLDER / name).read_text())["services"].items()
        assert service[0] == "serving"
    gpu = yaml.safe_load((FOLDER / NAMES[1]).read_text())["services"]["serving"]
    assert gpu["image"] == f"{SERVICES['serving']['image']}-gpu"


def test_the_image_of_the_retraining():
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.1[123]\.\d+-slim-\w+", bases[0])
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert int(users[-1].partition(":")[0]) > 0, "by number, so that Kubernetes can tell that it is not root"
    copied = [line.split()[1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    assert copied == ["dist/gdns_tf-*.whl"]
    assert "!dist" in (FOLDER / ".dockerignore").read_text().splitlines()
