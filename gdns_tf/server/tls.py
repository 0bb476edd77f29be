"""The certificates of a server."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from pipelines.errors import InputError


@dataclass(frozen=True)
class Tls:
    """What a server shows to its clients, and whom it lets in, as PEM files."""

    cert_file: str
    """The server's certificate, and those between it and its authority."""
    key_file: str
    """Its private key, not encrypted."""
    ca_file: str = ""
    """Authorities of clients: without a certificate of theirs nobody is let in (mutual TLS); empty: anybody is."""

    def __post_init__(self) -> None:
        """Raises InputError where the files are not what they should be."""
        self.ssl_context()

    def ssl_context(self) -> ssl.SSLContext:
        """For REST."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            # An encrypted key is an error: OpenSSL would ask the terminal for its password, and wait.
            context.load_cert_chain(self.cert_file, self.key_file, password="")
        except (OSError, ValueError) as error:
            raise _wrong(f"{self.cert_file} and {self.key_file}", "certificate and its key", error) from None
        if self.ca_file:
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(self.ca_file)
            except (OSError, ValueError) as error:
                raise _wrong(self.ca_file, "certificates of authorities", error) from None
        return context

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For gRPC."""
        key, chain = Path(self.key_file).read_bytes(), Path(self.cert_file).read_bytes()
        authorities = Path(self.ca_file).read_bytes() if self.ca_file else None
        return grpc.ssl_server_credentials([(key, chain)], authorities, require_client_auth=bool(self.ca_file))


def _wrong(files: str, what: str, error: Exception) -> InputError:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
    return InputError(f"no {what} in PEM, not encrypted ({reason})", path=files)
