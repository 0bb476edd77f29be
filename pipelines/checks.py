"""What every settings dataclass checks of its fields when it is made.

What holds of a field stands beside it, as the bounds that `pipelines.config.flag` takes; what is here holds of all of
its type. So a value is refused in the same words wherever it comes from: a flag, a keyword, a study's list.
"""

import math
import operator
import os
import typing
from collections.abc import Callable
from dataclasses import Field, dataclass, fields

from pipelines.errors import InputError, require, shown
from pipelines.nearest import did_you_mean

LARGEST_COUNT = 2**31 - 1
"""Of whole numbers, where a field says nothing else: what 32 bits hold, as most of TensorFlow's sizes do."""
LARGEST_SEED = 2**63 - 1
_FLOAT32 = (2.0**-126, (2 - 2.0**-23) * 2.0**127)
"""The smallest and the largest normal float32: training is done in these, and what is beyond comes to 0 or infinity."""
_LONGEST_TEXT, _LONGEST_PATH, _LONGEST_NAME = 2**16, 4095, 255
"""Characters of any text, and bytes of a path and of a file's name, which systems bound."""


@dataclass(frozen=True)
class Bounds:
    """Between what a number must lie; None: no bound of that kind."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def objection(self, value: float) -> str:
        """The rule that a number breaks, such as "must be at least 1"; empty if none."""
        if self.at_least is not None and value < self.at_least:
            return "must be 0 or more" if self.at_least == 0 else f"must be at least {_figure(self.at_least)}"
        if self.above is not None and value <= self.above:
            return f"must be above {_figure(self.above)}"
        if self.at_most is not None and value > self.at_most:
            return f"must be at most {_figure(self.at_most)}"
        if self.below is not None and value >= self.below:
            return f"must be below {_figure(self.below)}"
        return ""


@dataclass(frozen=True)
class Settings:
    """Settings that are checked when they are made: each field by itself, then what a subclass's `check` knows.

    Fields are made by `pipelines.config.flag`.

    Raises:
      InputError: a value cannot work; names the field.
    """

    def __post_init__(self) -> None:
        check_fields(self)
        self.check()

    def check(self) -> None:
        """Raises InputError for values that do not go together, or break a rule of more than bounds."""


def check_fields(config: object) -> None:
    """Checks each setting by itself: its type, its choices and bounds, that numbers and text can be used and kept.

    NumPy's numbers become Python's, paths text and lists tuples.

    Raises:
      InputError: a value cannot be used; names the field, and where it is a choice the nearest one.
    """
    types = typing.get_type_hints(type(config))
    for field in fields(config):
        if "help" in field.metadata:  # it is a setting, and not a part that holds settings
            value = _converted(field.name, getattr(config, field.name), types[field.name])
            object.__setattr__(config, field.name, value)
            check_value(field, value)


def text_objection(text: str) -> str:
    """Why a text cannot be kept in a flagfile, where each value has a line that absl strips; empty if it can."""
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        return "is not UTF-8 text"
    if "\0" in text:
        return "holds a NUL character"
    if len(text) > _LONGEST_TEXT:
        return f"is of more than {_LONGEST_TEXT:,} characters"
    if text != text.rstrip() or len(text.splitlines()) > 1:
        return "ends in white space or has more than one line, which cannot be kept in a flagfile"
    return ""


def is_count(text: str, most: int) -> bool:
    """Whether a text is a whole number from 1 to `most`, as the K of ndcg@K, written without sign or leading zeros."""
    digits = text.isascii() and text.isdecimal() and text[0] != "0"
    return digits and len(text) <= len(str(most)) and int(text) <= most


def _converted(name: str, value: object, annotation: type) -> object:
    if typing.get_origin(annotation) is tuple:
        element = typing.get_args(annotation)[0]
        try:
            elements = None if isinstance(value, (str, bytes)) else list(value)
        except TypeError:
            elements = None
        if elements is None:
            raise InputError(f"`{name}`={shown(value, quoted=True)} must be a list")
        return tuple(_converted(name, each, element) for each in elements)
    convert, what = _CONVERTERS[annotation]
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"`{name}`={shown(value, quoted=True)} must be {what}") from None


def _bool(value: object) -> bool:
    if type(value).__name__ not in ("bool", "bool_"):  # NumPy has a type of its own
        raise TypeError
    return bool(value)


def _switch(value: object) -> bool | None:
    return None if value is None else _bool(value)


def _number(convert: Callable) -> Callable:
    """Text and truth values can be made numbers too, but hardly ever by intent."""

    def converted(value: object) -> float:
        if isinstance(value, (str, bytes)) or type(value).__name__ in ("bool", "bool_"):
            raise TypeError
        return convert(value)

    return converted


def _text(value: object) -> str:
    text = os.fspath(value)
    if not isinstance(text, str):  # bytes are paths too
        raise TypeError
    return str(text)


_CONVERTERS: dict[object, tuple[Callable, str]] = {
    bool: (_bool, "True or False"),
    bool | None: (_switch, "True, False or None"),
    int: (_number(operator.index), "a whole number"),
    float: (_number(float), "a number"),
    str: (_text, "text"),
}


def check_value(field: Field, value: object) -> None:
    """Raises InputError where a value of the field's type is no choice of it, breaks its bounds, or cannot be kept."""
    for each in value if isinstance(value, tuple) else (value,):
        _check(field, each)


def _check(field: Field, value: object) -> None:
    name, choices = field.name, field.metadata.get("choices")
    if choices and value not in choices:
        raise InputError(
            f"`{name}`={shown(value)} is not known{did_you_mean(value, choices)}",
            remedy=f"Choose among {', '.join(choices)}.",
        )
    if isinstance(value, str):
        objection = text_objection(value)
        if not objection and field.metadata.get("path"):
            objection = _path_objection(value)
    elif value is None or isinstance(value, bool):
        objection = ""
    else:
        objection = _number_objection(value, field.metadata.get("bounds") or Bounds())
    require(not objection, name, value, objection)


def _number_objection(value: float, bounds: Bounds) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if objection := bounds.objection(value):
        return objection
    if isinstance(value, int):
        most = Bounds(at_least=-LARGEST_COUNT, at_most=LARGEST_COUNT if bounds.at_most is None else bounds.at_most)
        return most.objection(value)
    smallest, largest = _FLOAT32
    if value and not smallest <= abs(value) <= largest:
        return f"must be 0 or of a size from {smallest:.2g} to {largest:.2g}, which 32 bits hold"
    return ""


def _path_objection(path: str) -> str:
    if "://" in path:
        return ""
    if path.startswith("~") and os.path.expanduser(path).startswith("~"):
        return "begins with the home folder of a user who is not known here"
    if len(path.encode()) > _LONGEST_PATH or any(len(name.encode()) > _LONGEST_NAME for name in path.split("/")):
        return f"is too long for a path: a name has at most {_LONGEST_NAME} bytes, and all {_LONGEST_PATH:,}"
    return ""


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
