"""Flags as lines of files: what a flagfile may be, and in which file and line a flag is wrong.

absl reads flagfiles too, but whatever it is given, to its end, and says of a wrong flag neither the file nor the line.
"""

import os
import stat
from collections.abc import Sequence

from absl import flags

from pipelines.errors import InputError, shown
from pipelines.paths import as_path, is_remote

LARGEST_FILE = 2**20
"""Bytes: flags are text that somebody wrote, or that a run wrote of itself."""
LARGEST_EXPANSION = 100_000
"""Lines of all files together that a command line names."""
DEEPEST = 20
"""Flagfiles, each of which names the next."""
_DIRECTIVES = ("--flagfile", "-flagfile")


class Line(str):
    """A flag from a file, which knows where it stands."""

    path: str
    number: int

    @classmethod
    def of(cls, text: str, path: str, number: int) -> "Line":
        line = cls(text)
        line.path, line.number = path, number
        return line

    def error(self, problem: str) -> InputError:
        return InputError(problem, path=self.path, line=self.number)


def lines_of(path: str | os.PathLike) -> list[Line]:
    """The flags of a file, a line each, without comments and empty lines.

    Raises:
      InputError: it cannot be read, is no file, too large, or not UTF-8.
    """
    path = as_path(path)
    try:
        if not is_remote(path) and not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):
            raise InputError("is no regular file", path=path, remedy="Write the flags to one.")
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise InputError(f"is larger than {LARGEST_FILE:,} bytes, and so no file of flags", path=path)
        texts = [text.strip() for text in data.decode().removeprefix("\ufeff").splitlines()]
    except UnicodeDecodeError as error:
        number = data[: error.start].count(b"\n") + 1
        raise InputError("is not UTF-8 text, as a file of flags is", path=path, line=number) from None
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", path=shown(path)) from None
    lines = [Line.of(text, str(path), number) for number, text in enumerate(texts, 1)]
    return [line for line in lines if line and not line.startswith(("#", "//"))]


def parse(flag_values: flags.FlagValues, arguments: Sequence[str], *, known_only: bool = False) -> list[str]:
    """Has flags take their values from arguments, and from the flagfiles that these name, in their place.

    Args:
      flag_values: the flags.
      arguments: without the program's name.
      known_only: whether flags that are not defined are passed over.

    Returns:
      What is no flag.

    Raises:
      InputError: a file cannot be read, or a line of one is no flag, or has a value that the flag does not take.
      absl.flags.Error: the same of an argument that is of no file.
    """
    arguments = _with_files(arguments, [])
    if not known_only:
        for line in arguments:
            if isinstance(line, Line) and not (line.startswith("-") and line.strip("-")):
                raise line.error(f"{shown(line, quoted=True)} is no flag: flags begin with --")
    try:
        return flag_values(["", *arguments], known_only=known_only)[1:]
    except flags.Error:
        for line in arguments:
            if isinstance(line, Line):
                _check_line(flag_values, line, known_only)
        raise


def _check_line(flag_values: flags.FlagValues, line: Line, known_only: bool) -> None:
    try:
        flag_values(["", line], known_only=known_only)
    except flags.Error as error:
        raise line.error(shown(str(error).removeprefix("ERROR:: ").rstrip(" ."))) from None


def _with_files(arguments: Sequence[str], within: list[str]) -> list[str]:
    """The arguments with the lines of flagfiles in place of their names; `within`: the files that led to them."""
    found, waiting = [], list(reversed(arguments))
    while waiting:
        argument = waiting.pop()
        name, equals, path = argument.partition("=")
        if argument == "--":
            return [*found, argument, *reversed(waiting)]
        if name not in _DIRECTIVES:
            found.append(argument)
            continue
        if not equals:
            if not waiting:
                raise flags.IllegalFlagValueError("--flagfile with no file")
            path = waiting.pop()
        if path.strip():
            found += _lines_within(path.strip(), argument, within)
        if len(found) > LARGEST_EXPANSION:
            raise InputError(f"--flagfile={shown(path)} comes to more than {LARGEST_EXPANSION:,} lines")
    return found


def _lines_within(path: str, argument: str, within: list[str]) -> list[str]:
    lines = lines_of(path)
    real = path if is_remote(path) else os.path.realpath(as_path(path))
    if real in within or len(within) > DEEPEST:
        problem = f"--flagfile={shown(path)} names itself, or goes through more than {DEEPEST} files"
        raise argument.error(problem) if isinstance(argument, Line) else InputError(problem)
    return _with_files(lines, [*within, real])
