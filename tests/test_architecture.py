"""The house: nothing imports in a circle, and a wing imports only from wings below it."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOUNDATION = (
    "registry",
    "flag_lines",
    "flags",
    "flagfiles",
    "keras2",
    "markdown",
    "progress_bar",
    "report_page",
)
"""Modules of the package that any wing may use, and that use none."""
WINGS = (
    "models",
    "samplers",
    "evaluation",
    "training",
    "runs",
    "tuning",
    "serving",
    "clients",
    "server",
    "command",
    "studies",
    "benchmarks",
)
"""From the lowest up; studies and benchmarks, some of which are commands, do not know each other."""
APART = {("benchmarks", "studies")}
COMMANDS = ("train", "ingest", "tune", "evaluate", "export", "serve", "serving_files", "recommend", "study")
ENTRANCES = ("pipelines.ingest.__main__",)
"""Commands that stand elsewhere for their name's sake: `python -m pipelines.ingest`. No module imports them."""
ABOVE = ("api", "tfrs", "cli", *COMMANDS, "examples")
"""What may use every wing: the API, the commands and the examples."""


def modules():
    paths = [*(ROOT / "gdns_tf").rglob("*.py"), *(ROOT / "pipelines").rglob("*.py")]
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}
    return {name: imports_of(path, names) for name, path in names.items()}


def imports_of(path, names):
    """The modules of ours that a file imports, within functions and for annotations too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    mine = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    # A package's __init__ runs before its modules do, which is no import of theirs.
    return {name for name in found & set(names) if name != mine and not mine.startswith(f"{name}.")}


def rank(module):
    """How high a module stands: it may import what stands lower, and its own wing."""
    if module in ENTRANCES:
        return 2 + len(WINGS)
    if not module.startswith("gdns_tf"):
        return 0
    part = module.split(".")[1] if "." in module else ""
    if part in ("", *FOUNDATION):
        return 1
    if part in WINGS:
        return 2 + WINGS.index(part)
    assert part in ABOVE, f"{module} has no place in the house: see tests/test_architecture.py"
    return 2 + len(WINGS)


def test_nothing_imports_in_a_circle():
    graph = modules()
    assert sum(map(len, graph.values())) > 200
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports in a circle: {' -> '.join(error.args[1])}")


def test_wings_import_only_from_wings_below():
    wrong = [(a, b) for a, uses in modules().items() for b in uses if rank(b) > rank(a)]
    assert not wrong
    wings = {
        (a.split(".")[1], b.split(".")[1])
        for a, uses in modules().items()
        for b in uses
        if a.count(".") and b.count(".")
    }
    assert not APART & (wings | {(b, a) for a, b in wings})


def test_the_command_modules_are_imported_by_nothing_but_each_other():
    commands = {f"gdns_tf.{name}" for name in COMMANDS}
    for module, uses in modules().items():
        assert not uses & set(ENTRANCES), module
        if module not in ("gdns_tf.cli", *ENTRANCES):
            assert not uses & commands, module


@pytest.mark.parametrize("module", ["gdns_tf", "gdns_tf.clients"])
def test_nothing_heavy_is_imported_before_it_is_needed(module):
    heavy = ("tensorflow", "tf_keras", "pandas", "pyarrow", "scipy", "matplotlib", "requests", "fsspec", "optuna")
    program = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_editors_see_what_is_public():
    import gdns_tf

    stub = ast.parse((ROOT / "gdns_tf/__init__.pyi").read_text())
    named = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    sources = {
        alias.name: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert named | {"__version__"} == set(gdns_tf.__all__)
    assert sources == gdns_tf._PUBLIC
    for name in named:
        assert getattr(gdns_tf, name).__name__ if hasattr(getattr(gdns_tf, name), "__name__") else True
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        gdns_tf.fitt  # noqa: B018


def test_no_two_test_files_have_one_name():
    """Without packages pytest takes a file of the same name for the one that it knows, and leaves out its tests."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
