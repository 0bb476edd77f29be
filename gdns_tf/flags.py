"""Settings dataclasses as command-line flags: one field, one flag; and back, and as a flagfile.

A field whose metadata says `chosen_by` holds the settings of what another field chooses from a registry, such as those
of the sampler. All that can be chosen have their flags; those of what was not chosen have no effect, which is said.
"""

import csv
import io
import os
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, dataclass, fields
from typing import TypeVar

from absl import flags

from gdns_tf.flag_lines import lines_of, parse
from pipelines.checks import check_value, text_objection
from pipelines.errors import InputError, shown
from pipelines.nearest import did_you_mean
from pipelines.notices import notices
from pipelines.paths import as_path

Config = TypeVar("Config")
AUTO = "auto"
"""As which a flag says None: what suits the machine."""


class _TextParser(flags.ArgumentParser):
    """Any text that survives in a flagfile, where absl strips each line."""

    def parse(self, argument: str) -> str:
        if objection := text_objection(argument):
            raise ValueError(objection)
        return super().parse(argument)


class _TupleParser(flags.ArgumentParser):
    """Comma-separated values; quoted as in CSV where a value holds a comma, a quote or outer spaces."""

    def __init__(self, element: flags.ArgumentParser) -> None:
        self.element = element
        self.syntactic_help = "a comma-separated list"

    def parse(self, argument: str | Sequence) -> tuple:
        if isinstance(argument, str):
            try:
                argument = next(csv.reader([argument], skipinitialspace=True, strict=True), []) if argument else []
            except csv.Error as error:
                raise ValueError(f"{error}, in a list whose values are quoted as in CSV") from None
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


class _RepeatedFlag(flags.Flag):
    """A list to which each further flag of its name adds."""

    def parse(self, argument: str | Sequence) -> None:
        former = self.value if self.present else ()
        super().parse(argument)
        self.value = former + self.value


class _SwitchParser(flags.BooleanParser):
    """True, False, or None, which is left to the program: "auto"."""

    def parse(self, argument: str | bool | None) -> bool | None:
        if argument is None or argument == AUTO:
            return None
        try:
            return super().parse(argument)
        except ValueError:
            raise ValueError(f"must be true, false or {AUTO}") from None


class _SwitchFlag(flags.Flag):
    """A truth value that may be left open: --name, --noname or --name=auto."""

    def __init__(self, name: str, default: bool | None, help: str) -> None:
        super().__init__(_SwitchParser(), None, name, default, help, boolean=True)

    def _serialize(self, value: bool | None) -> str:
        return f"--{self.name}={AUTO}" if value is None else super()._serialize(value)


_SCALARS: dict[type, Callable[[], flags.ArgumentParser]] = {
    str: _TextParser,
    int: flags.IntegerParser,
    float: flags.FloatParser,
}


@dataclass(frozen=True)
class Group:
    """The settings of one dataclass, as `--help` shows them together."""

    title: str
    config_class: type
    chosen: tuple[str, str] | None = None
    """The flag and the value of it that this group belongs to, such as ("sampler", "gdns")."""
    brings: tuple[tuple[str, object], ...] = ()
    """Settings of the run that this value brings where they are not given, and their values."""

    @property
    def settings(self) -> list[Field]:
        return [field for field in fields(self.config_class) if "help" in field.metadata]


def groups(config_class: type) -> Iterator[Group]:
    """The dataclass's own settings, and then those of all that can be chosen."""
    yield Group(_title(config_class), config_class)
    for part in parts(config_class):
        name = part.metadata["chosen_by"]
        for value, chosen in part.metadata["registry"].items():
            brings = tuple(getattr(chosen, "defaults", {}).items())
            if fields(chosen.config_class) or brings:
                yield Group(f"{name} {value}", chosen.config_class, (name, value), brings)


def define(config_class: type, flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Registers a flag for each setting of a dataclass: its name, its default, help and choices from its metadata.

    The settings are of type str, int, float, bool, bool | None or tuples of one of the first three, and have defaults.
    Doing it twice is harmless, so that entry points may share a dataclass. Samplers may share a flag; where their
    defaults differ it has none, and each takes its own.

    Raises:
      TypeError: a field is of another type.
      absl.flags.DuplicateFlagError: a flag of the same name belongs to something else.
    """
    if _title(config_class) in flag_values.flags_by_module_dict():
        return
    for field in fields(config_class):
        if not {"help", "chosen_by"} & field.metadata.keys():
            raise TypeError(f"field {field.name} has no help: make it by `pipelines.config.flag`")
    shared: dict[str, list[tuple[Group, Field]]] = {}
    for group in groups(config_class):
        for field in group.settings:
            if group.chosen is None:
                _define(group, field, field.default, flag_values)
            else:
                shared.setdefault(field.name, []).append((group, field))
    for owners in shared.values():
        group, field = owners[0]
        alike = all(other.default == field.default for _, other in owners)
        _define(group, field, field.default if alike else None, flag_values)


def _define(group: Group, field: Field, default: object, flag_values: flags.FlagValues) -> None:
    annotation = typing.get_type_hints(group.config_class)[field.name]
    flags.DEFINE_flag(_flag(field, annotation, default), flag_values, module_name=group.title)


def _flag(field: Field, annotation: type, default: object) -> flags.Flag:
    help, choices = field.metadata.get("help", ""), field.metadata.get("choices", ())
    if annotation is bool:
        return flags.BooleanFlag(field.name, default, help)
    if annotation == bool | None:
        return _SwitchFlag(field.name, default, help)
    if choices:
        return flags.EnumFlag(field.name, default, help, choices)
    if annotation in _SCALARS:
        return flags.Flag(_SCALARS[annotation](), flags.ArgumentSerializer(), field.name, default, help)
    if typing.get_origin(annotation) is tuple and (element := typing.get_args(annotation)[0]) in _SCALARS:
        kind = _RepeatedFlag if field.metadata.get("repeated") else flags.Flag
        return kind(_TupleParser(_SCALARS[element]()), _TupleSerializer(), field.name, default, help)
    raise TypeError(f"field {field.name} is of type {annotation}, for which there is no flag")


def from_flags(
    config_class: type[Config], base: Config | None = None, flag_values: flags.FlagValues = flags.FLAGS
) -> Config:
    """The dataclass with the values of its flags; settings whose flags were not given come from `base`, if any.

    Flags that were given for something that is not chosen have no effect, which is said. A dataclass whose defaults
    depend on what is given has a class method `defaults_for(settings)`, which makes the base where there is none.

    Raises:
      ValueError: what the dataclass itself raises about its values.
    """
    if base is None and hasattr(config_class, "defaults_for"):
        base = config_class.defaults_for(given_settings(config_class, flag_values))

    def value(field: Field, of: object | None) -> object:
        flag = flag_values[field.name]
        if of is not None and not flag.present and hasattr(of, field.name):
            return getattr(of, field.name)
        return field.default if flag.value is None else flag.value

    values = {f.name: value(f, base) for f in fields(config_class) if "help" in f.metadata}
    used = set(values)
    for part in parts(config_class):
        registry, chosen = part.metadata["registry"], values[part.metadata["chosen_by"]]
        if chosen in registry:  # else the dataclass says that there is no such thing
            chosen_class = registry[chosen].config_class
            of = getattr(base, part.name, None)
            values[part.name] = chosen_class(**{f.name: value(f, of) for f in fields(chosen_class)})
            used |= {f.name for f in fields(chosen_class)}
    config = config_class(**values)
    for group in groups(config_class):
        for field in group.settings:
            if field.name not in used and flag_values[field.name].present:
                used.add(field.name)
                name, _ = group.chosen
                given = shown(flag_values[field.name].value)
                notices.warning("`%s`=%s has no effect on `%s`=%s.", field.name, given, name, values[name])
    return config


def given_settings(config_class: type, flag_values: flags.FlagValues = flags.FLAGS) -> dict[str, object]:
    """The settings of a dataclass, and of all that can be chosen in it, whose flags were given: name -> value."""
    names = dict.fromkeys(field.name for group in groups(config_class) for field in group.settings)
    return {name: flag_values[name].value for name in names if flag_values[name].present}


def parse_setting(config_class: type, name: str, value: str) -> object:
    """The value of a setting that a text says, as its flag reads it.

    Raises:
      InputError: there is no such setting, the value is not of its type, or breaks its bounds.
    """
    flag_values = flags.FlagValues()
    define(config_class, flag_values)
    if name not in flag_values:
        raise InputError(f"`{name}`={shown(value)}: there is no such setting{did_you_mean(name, flag_values)}")
    try:
        flag_values[name].parse(value)
    except flags.IllegalFlagValueError as error:
        raise InputError(
            f"`{name}`={shown(value)}: {shown(str(error).removeprefix(f'flag --{name}={value}: '))}"
        ) from None
    check_setting(config_class, name, flag_values[name].value)
    return flag_values[name].value


def check_setting(config_class: type, name: str, value: object) -> None:
    """Raises InputError where a value cannot be that of a setting by itself, whatever the others are."""
    of_name = (field for group in groups(config_class) for field in group.settings if field.name == name)
    if field := next(of_name, None):
        check_value(field, value)


def parse_choices(config_class: type, setting: str, parts: Sequence[str]) -> dict[str, tuple]:
    """Lists of values to choose among, as texts such as "l2=0.01|0.1" give them: setting -> its values.

    Args:
      config_class: whose settings they are.
      setting: the one that holds the texts, for messages.
      parts: the texts.

    Raises:
      InputError: a text cannot be read, or names something that is no setting or no value of it.
    """
    choices = {}
    for part in parts:
        name, equals, values = part.partition("=")
        if not equals or not values:
            raise InputError(
                f"`{setting}`: {shown(part, quoted=True)} is no setting with values",
                remedy="Write name=value|value, as dim=32|64.",
            )
        try:
            choices[name] = tuple(parse_setting(config_class, name, value) for value in values.split("|"))
        except InputError as error:
            raise InputError(f"`{setting}`: {str(error).removesuffix('.')}") from None
    return choices


def replayable(configs: Sequence[object]) -> str:
    """The text of a flagfile that, given to `--flagfile`, reproduces these dataclasses exactly.

    Raises:
      absl.flags.IllegalFlagValueError: a field holds a value that its flag would refuse.
    """
    lines = []
    for config in configs:
        flag_values = flags.FlagValues()
        define(type(config), flag_values)
        chosen = [(part.metadata["chosen_by"], getattr(config, part.name)) for part in parts(type(config))]
        for title, part in [(_title(type(config)), config), *chosen]:
            settings = [field for field in fields(part) if "help" in field.metadata]
            if not settings:
                continue
            lines.append(f"# {title}")
            for field in settings:
                flag_values[field.name].parse(getattr(part, field.name))
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
        given = lines_of(path)
        parse(flag_values, given, known_only=True)
        # A run's file lists every setting, and files of former versions had no others than the fields' defaults.
        base = config_class() if hasattr(config_class, "defaults_for") else None
        config = from_flags(config_class, base, flag_values)
        if not given or not as_path(path).read_text().endswith("\n"):  # what is left may be fine
            raise InputError("is cut short: it names no run any more", path=path)
        return config
    except ValueError as error:
        if getattr(error, "path", ""):
            raise
        raise InputError(str(error).removesuffix("."), path=path) from None


def as_flags(message: str, flag_values: flags.FlagValues = flags.FLAGS) -> str:
    """A message of the library with its settings, which stand in backticks, as the flags of this command line."""
    parts = message.split("`")
    parts[1::2] = [f"--{name}" if name in flag_values else f"`{name}`" for name in parts[1::2]]
    return "".join(parts) if len(parts) % 2 else message


def parts(config_class: type) -> list[Field]:
    """The fields that hold settings of what another field chooses."""
    return [field for field in fields(config_class) if "chosen_by" in field.metadata]


def _title(config_class: type) -> str:
    """The first sentence of the dataclass's docstring, by which `--helpfull` calls its settings."""
    doc = config_class.__doc__ or ""
    written = not doc.startswith(f"{config_class.__name__}(")  # else Python made it
    return doc.split(".")[0] if doc and written else config_class.__name__
