"""What every settings dataclass checks of its fields when it is made."""

import math
import operator
import os
import typing
from collections.abc import Callable
from dataclasses import Field, dataclass, fields

from pipelines.errors import InputError
from pipelines.nearest import did_you_mean


@dataclass(frozen=True)
class Settings:
    """Settings that are checked when they are made: their types first, then what a subclass's `check` knows.

    Fields are made by `pipelines.config.flag`.

    Raises:
      InputError: a value cannot work; names the field.
    """

    def __post_init__(self) -> None:
        check_fields(self)
        self.check()

    def check(self) -> None:
        """Raises InputError for values that cannot work, as by `pipelines.errors.require`."""


def check_fields(config: object) -> None:
    """Checks each setting's type, that it is one of its choices where it has some, and that numbers are finite.

    NumPy's numbers become Python's, paths text and lists tuples. Call it in `__post_init__` before other rules.

    Raises:
      InputError: a value is of another type, not finite or no choice; names the field, and the nearest choice.
    """
    types = typing.get_type_hints(type(config))
    for field in fields(config):
        if "help" in field.metadata:  # it is a setting, and not a part that holds settings
            value = _converted(field.name, getattr(config, field.name), types[field.name])
            object.__setattr__(config, field.name, value)
            _check(field, value)


def _converted(name: str, value: object, annotation: type) -> object:
    if typing.get_origin(annotation) is tuple:
        element = typing.get_args(annotation)[0]
        if isinstance(value, str):
            raise InputError(f"`{name}`={value!r} must be a list")
        return tuple(_converted(name, each, element) for each in value)
    convert, what = _CONVERTERS[annotation]
    try:
        if annotation in (int, float) and (isinstance(value, (str, bytes)) or str(value) in ("True", "False")):
            raise TypeError
        return convert(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"`{name}`={value!r} must be {what}") from None


def _bool(value: object) -> bool:
    if str(value) not in ("True", "False") or isinstance(value, str):  # NumPy has a type of its own
        raise TypeError
    return bool(value)


_CONVERTERS: dict[type, tuple[Callable, str]] = {
    bool: (_bool, "True or False"),
    int: (operator.index, "a whole number"),
    float: (float, "a number"),
    str: (os.fspath, "text"),
}


def _check(field: Field, value: object) -> None:
    name, choices = field.name, field.metadata.get("choices")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"`{name}`={value} must be a finite number")
    if choices and value not in choices:
        raise InputError(
            f"`{name}`={value} is not known{did_you_mean(value, choices)}", remedy=f"Choose among {', '.join(choices)}."
        )
