"""The folder of the version that is meant by a path."""

import os
from pathlib import Path

from gdns_tf.clients.errors import NotFound
from pipelines.paths import as_path

_SAVED_MODEL = "saved_model.pb"


def version_folder(path: str | os.PathLike) -> Path:
    """The version that a path stands for: a version folder itself, or the newest one in a model's folder.

    Raises:
      NotFound: there is none.
    """
    path = as_path(path)
    if (path / _SAVED_MODEL).exists():
        return path
    there = path.is_dir()
    versions = [p for p in path.iterdir() if p.name.isdecimal() and (p / _SAVED_MODEL).exists()] if there else []
    if not versions:
        what = "there is no SavedModel in it" if there else "there is no such folder"
        raise NotFound(f"{path}: {what}. Write one with: python -m gdns_tf.export --run_dir=RUN --export_dir={path}")
    return max(versions, key=lambda version: int(version.name))
