"""Which paths are addresses, and what stands for them."""

from pathlib import Path

import pytest

from pipelines.errors import InputError
from pipelines.paths import as_path, is_remote


@pytest.mark.parametrize(
    ("path", "remote"),
    [("runs/a", False), ("/runs/a", False), (Path("gs:/odd"), False), ("gs://b/a", True), ("s3://b", True)],
)
def test_is_remote(path, remote):
    assert is_remote(path) == remote
    assert is_remote(as_path(path)) == remote


@pytest.mark.parametrize("address", ["gs://bucket/models/gdns", "s3://bucket/models/gdns", "az://bucket/models/gdns"])
def test_addresses_have_the_methods_of_paths(address):
    path = as_path(address)
    assert str(path) == str(as_path(path)) == address
    assert path.name == "gdns"
    assert str(path / "1") == f"{address}/1"
    assert str((path / "1").parent) == address


def test_local_paths_are_those_of_pathlib():
    assert as_path("runs/a") == Path("runs/a")


def test_what_cannot_be_used_is_refused():
    with pytest.raises(InputError, match=r"ftp://h/a: ftp:// is no address that can be used\. Give .*gs://, s3://"):
        as_path("ftp://h/a")
