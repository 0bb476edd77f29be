"""The numbers that versions of a model have for names."""

from collections.abc import Iterable
from pathlib import Path

from pipelines.errors import InputError


def next_number(names: Iterable[str], version: int | None, export_dir: Path) -> int:
    """The number of a new version in a folder that holds these names.

    Args:
      names: what is there, versions and others.
      version: the number that is wanted; None: one above the highest.
      export_dir: the folder, for the message.

    Raises:
      InputError: the one that is wanted is there already.
    """
    taken = {int(name) for name in names if name.isascii() and name.isdigit()}
    number = max(taken, default=0) + 1 if version is None else version
    if number in taken:
        raise InputError(
            f"version {number} is there already, or is being written",
            path=export_dir,
            remedy="Leave out `version` to take the next free number.",
        )
    return number
