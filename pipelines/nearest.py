"""The nearest right name to a mistyped one."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """A question such as "; did you mean 'gdns'?" to end a message with, or nothing where no name is near."""
    near = difflib.get_close_matches(str(name), list(choices), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
