"""What a wheel holds: all modules, all recipes, and the files to serve with."""

import subprocess
import sys
import zipfile
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """A wheel of this tree, built without network, and unpacked."""
    source, wheels, unpacked = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "unpacked"))
    for name in ("gdns_tf", "pipelines", "configs"):
        copytree(ROOT / name, source / name, symlinks=True, ignore=ignore_patterns("__pycache__", "*.png"))
    copytree(ROOT / "savedmodel", source / "savedmodel", ignore=ignore_patterns("models"))
    for name in ("setup.cfg", "pyproject.toml", "README.md"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    (source / "savedmodel/models/gdns/1").mkdir(parents=True)
    (source / "savedmodel/models/gdns/1/README.md").write_text("a model, which is nobody else's business")
    subprocess.run([sys.executable, "-c", BUILD, wheels], cwd=source, check=True, capture_output=True, timeout=120)
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as file:
        file.extractall(unpacked)
    return unpacked


def files(folder, *patterns):
    return {str(path.relative_to(folder)) for pattern in patterns for path in folder.rglob(pattern) if path.is_file()}


def test_modules_recipes_and_serving_files_are_in_it(unpacked):
    for package in ("gdns_tf", "pipelines"):
        assert files(unpacked / package, "*.py") == files(ROOT / package, "*.py")
    of_clusters = {f"cluster/{path.name}" for path in (ROOT / "configs/cluster").iterdir()}
    assert files(unpacked / "gdns_tf/configs", "*") == files(ROOT / "configs", "*.flags") | of_clusters
    tracked = subprocess.run(["git", "ls-files", "savedmodel"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    if tracked.returncode == 0:  # else this is no checkout
        assert files(unpacked / "gdns_tf", "savedmodel/**/*", "savedmodel/.*") == {
            name.strip() for name in tracked.stdout.splitlines()
        }
    assert {path.name.partition("-")[0] for path in unpacked.iterdir()} == {"gdns_tf", "pipelines"}


def test_the_wheel_finds_its_recipes_from_any_folder(unpacked, tmp_path):
    program = (
        "import gdns_tf.flagfiles as found; print(found.__file__); "
        "print(*found.recipes(found.FOR_TRAINING), *found.recipes(found.FOR_STUDIES))"
    )
    path = {"PYTHONPATH": str(unpacked), "PATH": ""}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True, timeout=120)
    where, names = done.stdout.splitlines()
    assert where.startswith(str(unpacked))
    assert {"ml1m", "quickstart", "table3"} <= set(names.split())
