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


def is_number(name: str) -> bool:
    """Whether a name is a version's: a number without leading zeros."""
    return name.isascii() and name.isdigit() and name == str(int(name))


def superseded(complete: Iterable[int], written: int, keep: int) -> list[int]:
    """The versions that go when a new one was written: older than it, and not among the highest `keep` of all.

    Args:
      complete: numbers of the versions that are there, the new one among them.
      written: the new one's.
      keep: how many to keep, at least 1.

    Returns:
      Numbers, from the lowest up.
    """
    ascending = sorted(complete)
    return [number for number in ascending[:-keep] if number < written]
