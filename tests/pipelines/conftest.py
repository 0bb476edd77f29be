"""An object store in memory."""

import itertools

import pytest
from etils.epath import backend
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

_numbers = itertools.count()


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
