"""TLS and credentials, by the files and the variable that hold them: no secret is kept here, shown or logged."""

import contextlib
import os
import re
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

from gdns_tf.clients.errors import ServingError
from pipelines.errors import InputError

_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
"""What a bearer token is made of (RFC 6750, section 2.1)."""
_LONGEST_TOKEN = 1 << 16


@dataclass(frozen=True)
class Access:
    """How a client tells servers apart and is let in by them. All goes by https:// and grpcs:// alone.

    Example:
      Recommender.from_rest("https://models.example.com", access=Access(ca_file="ca.pem", token_env="MODELS_TOKEN"))
    """

    ca_file: str = ""
    """PEM file of the authorities whose servers are trusted; empty: the system's."""
    cert_file: str = ""
    """PEM file of this client's certificate, for servers that want one (mutual TLS)."""
    key_file: str = ""
    """PEM file of its private key, not encrypted; empty: it is in `cert_file` too."""
    token_file: str = ""
    """File of a bearer token. It is read for each attempt, for tokens are changed while programs run."""
    token_env: str = ""
    """Name of an environment variable that holds one."""

    def __post_init__(self) -> None:
        """Raises InputError for what cannot go together."""
        if self.token_file and self.token_env:
            raise InputError("`token_file` and `token_env` exclude each other")
        if self.key_file and not self.cert_file:
            raise InputError("`key_file` goes with `cert_file`")

    def require_tls(self, tls: bool) -> None:
        """Raises InputError where something is to be kept secret from a connection that is open to all."""
        if self.given() and not tls:
            raise InputError(
                f"{' and '.join(self.given())} would be of no use, or be seen by all, without TLS",
                remedy="Give an address that begins with https:// (REST) or grpcs:// (gRPC).",
            )

    def given(self) -> list[str]:
        """The names of what is set, for messages."""
        return [f"`{name}`" for name, value in vars(self).items() if value]

    def ssl_context(self) -> ssl.SSLContext:
        """What wraps a connection.

        Raises:
          ServingError: a file cannot be read, or is not what it should be.
        """
        for path in filter(None, (self.ca_file, self.cert_file, self.key_file)):
            _refuse_pipe(path)
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except (OSError, ValueError) as error:
            raise ServingError(f"{self.ca_file}: no certificates of authorities in PEM: {_reason(error)}") from None
        if self.cert_file:
            try:
                # An encrypted key is an error: OpenSSL would ask the terminal for its password, and wait.
                context.load_cert_chain(self.cert_file, self.key_file or None, password="")
            except (OSError, ValueError) as error:
                files = " and ".join(filter(None, (self.cert_file, self.key_file)))
                raise ServingError(
                    f"{files}: no certificate and its private key in PEM, not encrypted: {_reason(error)}"
                ) from None
        return context

    def headers(self) -> dict[str, str]:
        """The header that lets the client in, by its name in lower case; empty where there is no token.

        Raises:
          ServingError: there should be one, and is none.
        """
        if not (self.token_file or self.token_env):
            return {}
        where = self.token_file or f"environment variable {self.token_env}"
        try:
            token = self._text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ServingError(f"{where}: cannot be read: {_reason(error)}") from None
        if not _TOKEN.fullmatch(token):
            raise ServingError(f"{where}: {'holds no bearer token' if token else 'holds nothing'}")
        return {"authorization": f"Bearer {token}"}

    def _text(self) -> str:
        if self.token_env:
            return os.environ.get(self.token_env, "")
        _refuse_pipe(self.token_file)
        with Path(self.token_file).open("rb") as file:
            return file.read(_LONGEST_TOKEN).decode("ascii")


def _refuse_pipe(path: str) -> None:
    """Raises ServingError for what one may wait for without end; whether there is a file, who opens it says."""
    with contextlib.suppress(OSError):
        if stat.S_ISFIFO(os.stat(path).st_mode):
            raise ServingError(f"{path}: this is a pipe, not a file")


def _reason(error: Exception) -> str:
    """Why, without any of the content."""
    if isinstance(error, UnicodeDecodeError):
        return "it is no text"
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
