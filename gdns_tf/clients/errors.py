"""What goes wrong between a client and a model; the message is the server's where it has one."""

_LONGEST = 500


class ServingError(Exception):
    """A model that does not answer as it should. The subclasses are what a program may want to tell apart."""


class Unavailable(ServingError):
    """No server there, or it cannot answer now: later it may."""


class DeadlineExceeded(ServingError):
    """The server did not answer in time."""


class NotFound(ServingError):
    """There is no such model, version or label."""


class InvalidRequest(ServingError):
    """The request makes no sense to the model: sending it again is of no use."""


class AccessDenied(ServingError):
    """The server does not let this client in: a token or a certificate is missing, or not good enough."""


def printable(text: object) -> str:
    """A stranger's words for people: one line, of bearable length, without what a terminal would obey."""
    text = str(text)
    shown = "".join(character if character.isprintable() else " " for character in text[:_LONGEST])
    return f"{shown.strip()} ..." if len(text) > _LONGEST else shown.strip()
