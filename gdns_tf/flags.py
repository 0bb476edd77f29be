"""A frozen dataclass as command-line flags: one field, one flag; and back, and as a flagfile."""

import csv
import io
import os
import sys
import typing
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from typing import TypeVar

from absl import flags

from pipelines.errors import InputError

Config = TypeVar("Config")


class _TextParser(flags.ArgumentParser):
    """Any text that survives in a flagfile, where absl strips each line."""

    def parse(self, argument: str) -> str:
        if argument != argument.rstrip() or len(argument.splitlines()) > 1:
            raise ValueError("text that ends in white space or has more than one line cannot be kept in a flagfile")
        return super().parse(argument)


class _TupleParser(flags.ArgumentParser):
    """Comma-separated values; quoted as in CSV where a value holds a comma, a quote or outer spaces."""

    def __init__(self, element: flags.ArgumentParser) -> None:
        self.element = element
        self.syntactic_help = "a comma-separated list"

    def parse(self, argument: str | Sequence) -> tuple:
        if isinstance(argument, str):
            argument = next(csv.reader([argument], skipinitialspace=True, strict=True), []) if argument else []
        return tuple(self.element.parse(value) for value in argument)

    def flag_type(self) -> str:
        return f"comma-separated list of {self.element.flag_type()}s"


class _TupleSerializer(flags.ArgumentSerializer):
    def serialize(self, value: Sequence) -> str:
        text = io.StringIO()
        plain = all(str(element) and str(element) == str(element).strip() for element in value)
        quoting = csv.QUOTE_MINIMAL if plain else csv.QUOTE_ALL
        csv.writer(text, quoting=quoting, lineterminator="").writerow(value)
        return text.getvalue()


_SCALARS: dict[type, Callable[[], flags.ArgumentParser]] = {
    str: _TextParser,
    int: flags.IntegerParser,
    float: flags.FloatParser,
}


def define(config_class: type, flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Registers a flag for each field of a dataclass: its name, its default, help and choices from its metadata.

    The fields are of type str, int, float, bool, tuple[str, ...] or tuple[int, ...] and have defaults. `--help` lists
    the flags of the entry point that calls this; `--helpfull` lists them under the dataclass's name. Doing it twice is
    harmless, so that entry points may share a dataclass.

    Raises:
      TypeError: a field is of another type.
      absl.flags.DuplicateFlagError: a flag of the same name belongs to something else.
    """
    if config_class.__name__ in flag_values.flags_by_module_dict():
        return
    types = typing.get_type_hints(config_class)
    for field in fields(config_class):
        flag = _flag(field, types[field.name])
        flags.DEFINE_flag(flag, flag_values, module_name=config_class.__name__)
        flag_values.register_key_flag_for_module(sys.argv[0], flag)


def _flag(field: Field, annotation: type) -> flags.Flag:
    help, choices = field.metadata.get("help", ""), field.metadata.get("choices", ())
    if annotation is bool:
        return flags.BooleanFlag(field.name, field.default, help)
    if choices:
        return flags.EnumFlag(field.name, field.default, help, choices)
    if annotation in _SCALARS:
        return flags.Flag(_SCALARS[annotation](), flags.ArgumentSerializer(), field.name, field.default, help)
    if typing.get_origin(annotation) is tuple and (element := typing.get_args(annotation)[0]) in _SCALARS:
        return flags.Flag(_TupleParser(_SCALARS[element]()), _TupleSerializer(), field.name, field.default, help)
    raise TypeError(f"field {field.name} is of type {annotation}, for which there is no flag")


def from_flags(
    config_class: type[Config], base: Config | None = None, flag_values: flags.FlagValues = flags.FLAGS
) -> Config:
    """The dataclass with the values of its flags; fields whose flags were not given come from `base`, if there is one.

    Raises:
      ValueError: what the dataclass itself raises about its values.
    """

    def value(name: str) -> object:
        given = base is None or flag_values[name].present
        return flag_values[name].value if given else getattr(base, name)

    return config_class(**{field.name: value(field.name) for field in fields(config_class)})


def replayable(configs: Sequence[object]) -> str:
    """The text of a flagfile that, given to `--flagfile`, reproduces these dataclasses exactly.

    Raises:
      absl.flags.IllegalFlagValueError: a field holds a value that its flag would refuse.
    """
    lines = []
    for config in configs:
        flag_values = flags.FlagValues()
        define(type(config), flag_values)
        lines.append(f"# {type(config).__name__}")
        for field in fields(config):
            flag_values[field.name].parse(getattr(config, field.name))
            lines.append(flag_values[field.name].serialize())
    return "\n".join(lines) + "\n"


def read_config(path: str | os.PathLike, config_class: type[Config]) -> Config:
    """The dataclass that a flagfile describes; flags in it that are not the dataclass's are passed over.

    Raises:
      InputError: the file cannot be read, or a value is not one that the flag takes.
    """
    flag_values = flags.FlagValues()
    define(config_class, flag_values)
    try:
        flag_values(["", "--flagfile", os.fspath(path)], known_only=True)
        return from_flags(config_class, flag_values=flag_values)
    except (flags.Error, ValueError) as error:
        raise InputError(str(error).removeprefix("ERROR:: ").removesuffix("."), path=path) from None
