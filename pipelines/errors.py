"""The one error that bad input raises, of data, settings and files alike; and what the system has against writing."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SHOWN = 200
"""Characters of a value that a message shows at most."""
_LINE = 4000


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
        stop = "" if problem.endswith(("?", ".")) else "."  # the latter of one that comes from another process
        super().__init__(one_line(f"{where}{problem}{stop}{' ' + remedy if remedy else ''}"))
        self.path, self.line = str(path), line


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


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Has an InputError that names no file begin with this one."""
    try:
        yield
    except InputError as error:
        if path and not error.path:
            error.path, error.args = str(path), (one_line(f"{path}: {error}"),)
        raise


def shown(value: object, *, quoted: bool = False) -> str:
    """A value as a message shows it: on one line, and of what is long its ends only.

    Args:
      value: anything.
      quoted: whether text stands in quotes, by which it differs from a number.
    """
    try:
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        text = value if isinstance(value, str) and value.isprintable() and not quoted else repr(value)
    except ValueError:  # Python writes out no whole numbers of more than 4,300 digits
        text = f"(a {type(value).__name__} too long to write out)"
    text = " ".join(text.split()) if not isinstance(value, str) else text
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 20]}...{text[-15:]}"


def one_line(message: str) -> str:
    """A message on one line, with what cannot be printed written as Python does, and without the middle of a long one.

    Names and values come from anywhere: line breaks would forge lines, and escape sequences steer a terminal.
    """
    text = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in message)
    return text if len(text) <= _LINE else f"{text[: _LINE // 2]} ... {text[-_LINE // 2 :]}"


def require(good: bool, name: str, value: object, rule: str) -> None:
    """Raises InputError, naming the setting, where a value is not good."""
    if not good:
        raise InputError(f"`{name}`={shown(value)} {rule}")
