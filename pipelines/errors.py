"""The one error that bad input raises, of data, settings and files alike."""

import os
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
        stop = "" if problem.endswith("?") else "."
        super().__init__(one_line(f"{where}{problem}{stop}{' ' + remedy if remedy else ''}"))
        self.path, self.line = str(path), line


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
    """A message on one line, with what cannot be printed written out, and without the middle of what is very long."""
    lines = " ".join(line.strip() for line in message.splitlines() if line.strip())
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in lines)
    return text if len(text) <= _LINE else f"{text[: _LINE // 2]} ... {text[-_LINE // 2 :]}"


def require(good: bool, name: str, value: object, rule: str) -> None:
    """Raises InputError, naming the setting, where a value is not good."""
    if not good:
        raise InputError(f"`{name}`={shown(value)} {rule}")
