"""Fixtures that several rooms of tests use."""

import gc
import itertools
import os
from pathlib import Path

import pytest
from etils.epath import backend
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from hypothesis import HealthCheck, settings

# Few examples, always the same, in the suite; by hand HYPOTHESIS_PROFILE=long looks for what they miss.
_COMMON = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("default", max_examples=40, derandomize=True, **_COMMON)
settings.register_profile("long", max_examples=3000, print_blob=True, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Tracing makes hundreds of thousands of objects that live as long as their graph: at Python's own thresholds a tenth of
# the suite's time goes into looking for garbage among them. `left_behind` collects it.
gc.set_threshold(200_000, 20, 100)

_numbers = itertools.count()


def pytest_addoption(parser):
    told = "all moments of crashes, all cases of the oracle, XLA and sizes of every sampler, either worker killed"
    parser.addoption("--exhaustive", action="store_true", help=told)


@pytest.fixture(autouse=True, scope="module")
def left_behind():
    """What a module of tests leaves behind, TensorFlow's graphs above all, no later collection of garbage goes through:
    after hundreds of modules each took seconds."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture
def store(monkeypatch):
    """The address of an empty bucket of s3://, which is memory here."""

    class Memory(MemoryFileSystem):
        protocol = "s3"

        @classmethod
        def _strip_protocol(cls, path):
            return MemoryFileSystem._strip_protocol(str(path).removeprefix("s3://"))

    monkeypatch.setitem(_registry, "s3", Memory)
    backend.fsspec_backend._get_filesystem.cache_clear()
    yield f"s3://bucket{next(_numbers)}"
    backend.fsspec_backend._get_filesystem.cache_clear()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the repository; it is not part of the project."""
    folder = Path(__file__).parents[2] / "shared/data"
    if not folder.is_dir():
        pytest.skip("the real data of ../shared/data is not here")
    return folder
