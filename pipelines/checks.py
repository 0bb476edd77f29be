"""What every settings dataclass checks of its fields when it is made."""

import math
import typing
from dataclasses import Field, fields

from pipelines.errors import InputError
from pipelines.nearest import did_you_mean


def check_fields(config: object) -> None:
    """Checks each field's type, that it is one of its choices where it has some, and that numbers are finite.

    A whole number will do for a float. Call it in `__post_init__`, before rules between fields.

    Raises:
      InputError: a value is of another type, not finite or no choice; names the field, and the nearest choice.
    """
    types = typing.get_type_hints(type(config))
    for field in fields(config):
        if "help" in field.metadata:  # it is a setting, and not a part that holds settings
            _check(field, types[field.name], getattr(config, field.name))


def _check(field: Field, annotation: type, value: object) -> None:
    name = field.name
    wanted = (int, float) if annotation is float else typing.get_origin(annotation) or annotation
    is_bool = isinstance(value, bool)
    if not isinstance(value, wanted) or is_bool != (annotation is bool):
        raise InputError(f"`{name}`={value!r} must be of type {getattr(annotation, '__name__', annotation)}")
    if annotation is float and not math.isfinite(value):
        raise InputError(f"`{name}`={value} must be a finite number")
    choices = field.metadata.get("choices")
    if choices and value not in choices:
        raise InputError(
            f"`{name}`={value} is not known{did_you_mean(value, choices)}", remedy=f"Choose among {', '.join(choices)}."
        )
