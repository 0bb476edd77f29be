"""Files that appear whole or not at all, whatever breaks off the writing."""

import contextlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipelines.paths import RemotePath, as_path


@contextlib.contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its name when the block ends and goes if it fails.

    It keeps the ending of the name, by which many writers tell the format. For a path in an object store the file is a
    temporary one on this machine, which is uploaded when the block ends.

    Args:
      path: the file to make; its folder must exist.

    Yields:
      The path to write to.

    Example:
      with whole("metrics.json") as unfinished:
          unfinished.write_text("{}")
    """
    path = as_path(path)
    if isinstance(path, RemotePath):
        with tempfile.TemporaryDirectory() as folder:
            unfinished = Path(folder) / path.name
            yield unfinished
            path.upload(unfinished)
        return
    unfinished = path.with_name(f".{path.stem}.{secrets.token_hex(6)}.tmp{path.suffix}")
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def is_temporary(name: str) -> bool:
    """Whether a name is one that `whole` writes to: left behind by a kill, if nobody is writing."""
    return re.fullmatch(r"\..*\.[0-9a-f]{12}\.tmp(\.\w+)?", name) is not None


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes text, as UTF-8, into a file that appears whole or not at all."""
    with whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
