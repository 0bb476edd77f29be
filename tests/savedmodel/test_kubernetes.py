"""The Kubernetes objects against Kubernetes' own schemas, its rules for pods, and each other."""

import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

import gdns_tf
from gdns_tf.flagfiles import FOR_TRAINING, flags_of, with_recipes
from gdns_tf.flags import from_flags
from gdns_tf.training.config import TrainConfig
from pipelines.config import DataConfig

FOLDER = Path(__file__).parents[2] / "savedmodel"
VERSIONS = ("1.27", kubernetes_validate.latest_version())
"""The first with all that is used (a CronJob's time zone), and the newest."""


def read(path):
    return list(yaml.safe_load_all((FOLDER / path).read_text()))


KUSTOMIZATION = read("kustomization.yml")[0]
OBJECTS = [made for name in KUSTOMIZATION["resources"] for made in read(name)]
BY_KIND = {made["kind"]: made for made in OBJECTS}


def pods(objects):
    """The pods that the objects make: name -> spec and labels."""
    found = {}
    for made in objects:
        if made["kind"] == "Deployment":
            template = made["spec"]["template"]
        elif made["kind"] == "CronJob":
            template = made["spec"]["jobTemplate"]["spec"]["template"]
        else:
            continue
        found[made["metadata"]["name"]] = template["spec"], template["metadata"]["labels"]
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("made", OBJECTS, ids=lambda made: f"{made['kind']}")
def test_the_schemas(made, version):
    kubernetes_validate.validate(made, version, strict=True)


def test_the_schemas_see_a_mistyped_field():
    wrong = BY_KIND["Deployment"] | {"spec": BY_KIND["Deployment"]["spec"] | {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_the_kustomization_has_every_file():
    resources = {str(path.relative_to(FOLDER)) for path in FOLDER.glob("kubernetes/*.yml")}
    assert set(KUSTOMIZATION["resources"]) == resources
    files = next(made for made in KUSTOMIZATION["configMapGenerator"] if "files" in made)["files"]
    assert set(files) == {f"config/{path.name}" for path in (FOLDER / "config").iterdir()}


def test_what_pods_refer_to_is_there():
    maps = {made["name"]: made for made in KUSTOMIZATION["configMapGenerator"]}
    names = {path.name for path in (FOLDER / "config").iterdir()}
    variables = {literal.partition("=")[0] for literal in maps["recommender"]["literals"]}
    for spec, _ in pods(OBJECTS).values():
        assert spec["serviceAccountName"] == BY_KIND["ServiceAccount"]["metadata"]["name"]
        (container,) = spec["containers"]
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        claim = volumes["models"]["persistentVolumeClaim"]["claimName"]
        assert claim == BY_KIND["PersistentVolumeClaim"]["metadata"]["name"]
        assert volumes["config"]["configMap"]["name"] in maps
        assert container["envFrom"] == [{"configMapRef": {"name": "recommender"}}]
        text = str(container)
        assert set(re.findall(r"/config/([\w.]+)", text)) <= names
        assert set(re.findall(r"\$\((\w+)\)", text)) <= variables


def test_what_finds_the_servers_finds_them():
    spec, labels = pods(OBJECTS)["recommender"]
    ports = {port["name"]: port["containerPort"] for port in spec["containers"][0]["ports"]}
    for selector in (
        BY_KIND["Deployment"]["spec"]["selector"]["matchLabels"],
        BY_KIND["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        BY_KIND["Service"]["spec"]["selector"],
    ):
        assert selector.items() <= labels.items()
        assert not selector.items() <= pods(OBJECTS)["recommender-train"][1].items()
    assert {port["targetPort"]: port["port"] for port in BY_KIND["Service"]["spec"]["ports"]} == ports
    target = BY_KIND["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", BY_KIND["Deployment"]["metadata"]["name"])
    assert "replicas" not in BY_KIND["Deployment"]["spec"], "an apply would undo what the autoscaler has done"
    assert BY_KIND["HorizontalPodAutoscaler"]["spec"]["minReplicas"] >= 2
    annotations = BY_KIND["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] in (FOLDER / "config/monitoring.config").read_text()
    assert int(annotations["prometheus.io/port"]) == ports["rest"]


@pytest.mark.parametrize("name", ["recommender", "recommender-train"])
def test_pods_may_do_little(name):
    """Kubernetes' Pod Security Standard "restricted", a root file system that cannot be written, and limits."""
    spec, _ = pods(OBJECTS)[name]
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert {kind for volume in spec["volumes"] for kind in volume if kind != "name"} <= {
        "configMap",
        "emptyDir",
        "persistentVolumeClaim",
    }
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"].keys() == container["resources"]["limits"].keys() == {"cpu", "memory"}


def test_a_server_is_asked_for_its_model_but_not_restarted_for_want_of_one():
    (container,) = pods(OBJECTS)["recommender"][0]["containers"]
    asks = {"command": ["bash", "/config/ready.sh"]}
    assert container["startupProbe"]["exec"] == container["readinessProbe"]["exec"] == asks
    assert container["livenessProbe"]["tcpSocket"] == {"port": "rest"}


def test_the_retraining_is_a_command_that_runs():
    (container,) = pods(OBJECTS)["recommender-train"][0]["containers"]
    assert container["command"] == ["python", "-m", "gdns_tf.train"]
    literals = dict(literal.split("=") for literal in KUSTOMIZATION["configMapGenerator"][0]["literals"])
    arguments = [re.sub(r"\$\((\w+)\)", lambda found: literals[found[1]], text) for text in container["args"]]
    arguments = [text.replace("/config/", f"{FOLDER}/config/") for text in arguments]
    values = flags_of([TrainConfig, DataConfig], FOR_TRAINING)
    assert values(["", *with_recipes(arguments, [TrainConfig, DataConfig], FOR_TRAINING)]) == [""]
    config = from_flags(TrainConfig, flag_values=values)
    assert (config.export_dir, config.refit) == ("/models/gdns", True)
    assert config.keep_versions >= 2, "what a rollback goes back to"
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    for written in (config.output_dir, config.export_dir):
        assert any(written.startswith(f"{path}/") and not mounts[path].get("readOnly") for path in mounts)
    assert from_flags(DataConfig, flag_values=values).dataset == "table"
    job = BY_KIND["CronJob"]["spec"]
    assert job["concurrencyPolicy"] == "Forbid"
    assert job["jobTemplate"]["spec"]["backoffLimit"] <= 3


def test_images_are_pinned_and_the_same_everywhere():
    pinned = {image["name"]: image["newTag"] for image in KUSTOMIZATION["images"]}
    assert pinned["registry.example.com/gdns_tf"] == gdns_tf.__version__
    paths = [*FOLDER.rglob("*.yml"), *FOLDER.glob("*.md"), FOLDER / "Dockerfile"]
    texts = [path.read_text() for path in paths]
    used = {(name, tag) for text in texts for name, tag in re.findall(r"((?:\w[\w.-]*/)+\w+):(\d[\w.-]*)", text)}
    for name, tag in pinned.items():
        assert {other for known, other in used if known == name} == {tag}


def test_kustomize_makes_both_variants(tmp_path):
    kubectl = shutil.which("kubectl")
    if not kubectl:
        pytest.skip("kubectl is not on PATH")

    def build(folder):
        done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return list(yaml.safe_load_all(done.stdout))

    made = build(FOLDER)
    assert sorted(one["kind"] for one in made) == sorted([*BY_KIND, "ConfigMap", "ConfigMap"])
    folder = tmp_path / "savedmodel"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("models", "dist"))
    text = (folder / "kustomization.yml").read_text()
    (folder / "kustomization.yml").write_text(text.replace("# components:\n#   -", "components:\n  -"))
    in_store = build(folder)
    for one in (*made, *in_store):
        kubernetes_validate.validate(one, VERSIONS[-1], strict=True)
    assert "PersistentVolumeClaim" not in {one["kind"] for one in in_store}
    for spec, _ in pods(in_store).values():
        assert "models" not in {volume["name"] for volume in spec["volumes"]}
        assert "/models" not in {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    maps = [one["data"] for one in in_store if one["kind"] == "ConfigMap" and "MODEL" in one["data"]]
    assert maps == [{"MODEL": "gdns", "MODELS": "gs://YOUR-BUCKET/models"}]
