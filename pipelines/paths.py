"""Folders of this machine and of object stores, by one interface."""

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
      path: such as runs/first or gs://bucket/models/gdns. gs:// is TensorFlow's affair; s3:// and az:// need the fsspec
        packages s3fs and adlfs.

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

    return epath.Path(path)
