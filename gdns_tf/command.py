"""What all commands share: their flags and help, what they show of the library's notices, errors and exit codes.

Exit codes: 0; 1 where the input or the settings cannot work; 2 for flags that cannot be read; 75 (EX_TEMPFAIL) where
another worker is gone and all are to be started again; 130 when interrupted.
"""

import contextlib
import logging
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import absl.logging
from absl import flags

from gdns_tf.clients.errors import ServingError
from gdns_tf.flag_lines import parse
from gdns_tf.flagfiles import flags_of, recipes, with_recipes
from gdns_tf.flags import AUTO, Group, as_flags, from_flags, given_settings, groups
from gdns_tf.runs.interrupts import Interrupted
from gdns_tf.training.replicas.lost import PeerLost
from pipelines.errors import InputError, one_line
from pipelines.notices import notices

Config = TypeVar("Config")
PEER_LOST = 75
"""The exit code that tells a supervisor to start the process again, by the same command."""


class Read:
    """Reads settings dataclasses from the command line; given to the body of a command."""

    def __init__(self, flag_values: flags.FlagValues, others: Sequence[str] = ()) -> None:
        self._flag_values = flag_values
        self.others = list(others)
        """Flags that are those of another program, where a command takes such, as they were given."""

    def __call__(self, config_class: type[Config], base: Config | None = None) -> Config:
        """The settings as the flags say; those whose flags were not given are those of `base`, or the defaults."""
        return from_flags(config_class, base, self._flag_values)

    def given(self, config_class: type) -> dict[str, object]:
        """The settings whose flags were given, and those alone: name -> value."""
        return given_settings(config_class, self._flag_values)


def run_command(
    body: Callable[[Read], None],
    about: str,
    config_classes: Sequence[type],
    argv: Sequence[str] | None = None,
    *,
    recipes_in: Path | None = None,
    check_others: Callable[[Sequence[str]], None] | None = None,
) -> None:
    """Runs a command to its end, and exits.

    Args:
      body: does the work; what it raises for the user's sake becomes a line and an exit code.
      about: what the command does, for `--help`: the docstring of its module.
      config_classes: whose settings are its flags.
      argv: the command line; None: that of the process.
      recipes_in: the folder in which `--recipe` finds flagfiles by name; None: the command has no recipes.
      check_others: takes the flags that are not those of the settings, and raises InputError where another program, to
        which the body hands them on, does not know them; None: there are no such flags.
    """
    argv = sys.argv if argv is None else argv
    sys.exit(exit_code(body, about, config_classes, argv, recipes_in=recipes_in, check_others=check_others))


def exit_code(
    body: Callable[[Read], None],
    about: str,
    config_classes: Sequence[type],
    argv: Sequence[str],
    *,
    recipes_in: Path | None = None,
    check_others: Callable[[Sequence[str]], None] | None = None,
) -> int:
    """Runs a command and returns what it exits with; see `run_command`."""
    arguments = _with_underscores(argv[1:])
    wants = set(arguments)
    if wants & {"--help", "-h", "-help", "--helpshort", "--helpfull"}:
        print(_help(about, config_classes, full="--helpfull" in wants, has_recipes=recipes_in is not None))
        return 0
    if recipes_in and "--recipe=help" in wants:
        print("\n".join(f"{name:<24} {about}" for name, about in recipes(recipes_in).items()))
        return 0
    flag_values = flags_of(config_classes, recipes_in)
    try:
        if recipes_in:
            arguments = with_recipes(arguments, config_classes, recipes_in)
        if check_others is not None:
            flag_values.set_gnu_getopt(True)  # a flag may follow the value of one that is not known here
        rest = parse(flag_values, arguments, known_only=check_others is not None)
        if check_others is not None:
            check_others(rest)
    except InputError as error:
        return _fail(as_flags(str(error), flag_values), 2)
    except flags.Error as error:
        return _fail(f"{str(error).rstrip(' .')}. See --help.", 2)
    if rest and check_others is None:
        return _fail(f"{rest[0]!r} is no flag: flags begin with --. See --help.", 2)
    try:
        with _notices_shown(flag_values):
            body(Read(flag_values, rest))
    except (Interrupted, KeyboardInterrupt) as stop:
        print(str(stop) or "interrupted", file=sys.stderr)
        return 130
    except PeerLost as loss:
        return _fail(str(loss), PEER_LOST)
    except (InputError, ServingError, OSError, FloatingPointError) as error:
        return _fail(as_flags(str(error), flag_values), 1)
    except MemoryError as error:
        return _fail(f"memory ran out: {error}" if str(error) else "memory ran out", 1)
    return 0


def _fail(message: str, code: int) -> int:
    print(f"error: {one_line(message)}", file=sys.stderr)
    return code


def _with_underscores(arguments: Sequence[str]) -> list[str]:
    """`--all-users` as `--all_users`: both are common spellings."""

    def spelt(argument: str) -> str:
        name, equals, value = argument.partition("=")
        return name[:2] + name[2:].replace("-", "_") + equals + value if name.startswith("--") else argument

    return [spelt(argument) for argument in arguments]


@contextlib.contextmanager
def _notices_shown(flag_values: flags.FlagValues) -> Iterator[None]:
    """Shows the library's notices on standard error, and TensorFlow's only where they are errors."""

    class Shown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warning = "warning: " if record.levelno >= logging.WARNING else ""
            print(warning + as_flags(record.getMessage(), flag_values), file=sys.stderr, flush=True)

    absl.logging.set_verbosity(absl.logging.ERROR)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    handler, level, propagate = Shown(), notices.level, notices.propagate
    notices.addHandler(handler)
    notices.setLevel(logging.INFO)
    notices.propagate = False
    try:
        yield
    finally:
        notices.removeHandler(handler)
        notices.setLevel(level)
        notices.propagate = propagate


def _help(about: str, config_classes: Sequence[type], *, full: bool, has_recipes: bool) -> str:
    width = min(shutil.get_terminal_size().columns, 110)
    parts = [about.strip()]
    for config_class in config_classes:
        for group in groups(config_class):
            if lines := _lines(group, full, width):
                parts.append("\n".join([f"{group.title}:", *lines]))
    if has_recipes:
        text = (
            "--recipe=NAME takes the flags of a recipe that comes with gdns_tf (--recipe=help lists them), or of a "
            "file; flags that are given win over it, wherever they stand."
        )
        parts.append(textwrap.fill(text, width))
    parts.append(
        "--flagfile=FILE takes flags from a file, a line each; flags after it win over it."
        + ("" if full else " --helpfull lists all flags.")
    )
    return "\n\n".join(parts)


def _lines(group: Group, full: bool, width: int) -> list[str]:
    shown = [f for f in group.settings if full or f.metadata.get("main")]
    lines, unasked = [], group.config_class.defaults_for({}) if hasattr(group.config_class, "defaults_for") else None
    for field in shown:
        choices = f" One of {', '.join(field.metadata['choices'])}." if field.metadata["choices"] else ""
        default = field.default if unasked is None else getattr(unasked, field.name)
        default = ",".join(map(str, default)) if isinstance(default, tuple) else default
        default = AUTO if default is None else default
        text = f"{field.metadata['help']}{choices} (default: {default!s})" if default != "" else field.metadata["help"]
        lines += textwrap.wrap(f"--{field.name:<18} {text}", width, initial_indent="  ", subsequent_indent=" " * 23)
    if full and group.brings:
        told = ", ".join(f"--{name}={value}" for name, value in group.brings)
        lines.append(f"  brings {told}, unless told")
    return lines
