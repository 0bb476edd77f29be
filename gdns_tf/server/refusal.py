"""A request that is not answered, with the status and the message that TensorFlow Serving has for it."""

HTTP_STATUS = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}
"""gRPC's name of a status -> HTTP's number, as in `http_server.cc`; all others are 500."""


class Refusal(Exception):
    """A status other than OK, by its gRPC name, with the message that the client gets."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def invalid(message: str) -> Refusal:
    """The commonest one: a request that makes no sense."""
    return Refusal("INVALID_ARGUMENT", message)
