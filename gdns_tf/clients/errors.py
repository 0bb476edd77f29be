"""What goes wrong between a client and a model; the message is the server's where it has one."""


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
