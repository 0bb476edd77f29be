"""The one error that bad input raises, of data, settings and files alike; and what the system has against writing."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class InputError(ValueError):
    """Input that cannot be used: says what is wrong, where, and what to do about it.

    Settings are named in backticks, as `num_candidates`: so they are keywords of the Python API. The command line shows
    them as its flags (`gdns_tf.command`).
    """

    def __init__(self, problem: str, *, path: str | Path = "", line: int | None = None, remedy: str = "") -> None:
        """Args:
        problem: what is wrong, without a full stop.
        path: the file or folder it is wrong in.
        line: its line there, counted from 1.
        remedy: what the user can do, a sentence.
        """
        where = f"{path}, line {line}: " if line is not None else f"{path}: " if str(path) else ""
        stop = "" if problem.endswith("?") else "."
        super().__init__(_one_line(f"{where}{problem}{stop}{' ' + remedy if remedy else ''}"))
        self.path, self.line = str(path), line


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Has an InputError that names no file begin with this one."""
    try:
        yield
    except InputError as error:
        if path and not error.path:
            error.path, error.args = str(path), (_one_line(f"{path}: {error}"),)
        raise


def _one_line(text: str) -> str:
    """Line breaks and what steers a terminal are shown as Python writes them: names and values come from anywhere."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


class StorageError(InputError):
    """What the system has against writing, such as a full disk: no fault of the settings, and it may pass."""

    @classmethod
    def of(cls, error: OSError, path: str | Path, setting: str = "") -> "StorageError":
        """What an error of the system comes to for a file or folder that was to be written.

        Args:
          error: the error.
          path: what was to be written.
          setting: what names the place, for the remedy.
        """
        place = f"Choose another {f'`{setting}`' if setting else 'place'}"
        remedy = _REMEDIES.get(error.errno, "{place}.").format(place=place)
        return cls(f"cannot be written: {error.strerror or error}", path=path, remedy=remedy)


_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "Make room there, and do the same again."),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "{place}, or change its permissions."),
}
"""Number of an error of the system -> what to do about it."""


def require(good: bool, name: str, value: object, rule: str) -> None:
    """Raises InputError, naming the setting, where a value is not good."""
    if not good:
        raise InputError(f"`{name}`={value} {rule}")


def require_above_0(config: object, *names: str) -> None:
    """Raises InputError unless the named settings of a config are finite numbers above 0."""
    for name in names:
        require(0 < getattr(config, name) < float("inf"), name, getattr(config, name), "must be above 0, and finite")


def require_not_negative(config: object, *names: str) -> None:
    """Raises InputError unless the named settings of a config are finite numbers of 0 or more."""
    for name in names:
        require(0 <= getattr(config, name) < float("inf"), name, getattr(config, name), "must be 0 or more, and finite")
