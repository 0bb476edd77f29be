"""Folders of this machine and of object stores, by one interface."""

import functools
import os
from pathlib import Path

from pipelines.errors import InputError

SCHEMES = ("gs", "s3", "az")
"""What an address in an object store may begin with."""


def is_remote(path: str | os.PathLike) -> bool:
    """Whether the path is an address, such as gs://bucket/models, and not a place on this machine."""
    return "://" in os.fspath(path)


def as_path(path: str | os.PathLike) -> Path:
    """A `pathlib.Path`, or what stands in for it in an object store: `etils.epath.Path`, which has its methods.

    Args:
      path: such as runs/first or gs://bucket/models/gdns. gs:// works by TensorFlow alone; s3:// needs the package
        s3fs, and az:// adlfs: where it is missing, the first use of the path raises ImportError.

    Raises:
      InputError: the address is of a kind that cannot be used.
    """
    if not is_remote(path):
        return Path(path)
    scheme = os.fspath(path).partition("://")[0]
    if scheme not in SCHEMES:
        raise InputError(
            f"{scheme}:// is no address that can be used",
            path=os.fspath(path),
            remedy=f"Give a folder of this machine, or one that begins with {', '.join(f'{s}://' for s in SCHEMES)}.",
        )
    from etils import epath  # here, since most programs have local folders only

    if scheme == "gs":
        return epath.Path(path)

    return _fsspec_path_class()(path)


@functools.cache
def _fsspec_path_class() -> type[Path]:
    from etils import epath

    class FsspecPath(epath.gpath.PosixGPath):
        """Where TensorFlow is installed, epath leaves all stores to it, but it knows no other than gs:// any more."""

        @property
        def _backend(self) -> epath.backend.Backend:
            return epath.backend.fsspec_backend

    return FsspecPath
