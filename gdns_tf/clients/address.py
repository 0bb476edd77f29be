"""Addresses of servers, checked before anything is sent to them."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from gdns_tf.clients.errors import printable
from pipelines.errors import InputError

REST_SCHEMES, GRPC_SCHEMES = ("http", "https"), ("grpc", "grpcs")
_RESOLVERS = ("unix:", "unix-abstract:", "vsock:", "dns:", "ipv4:", "ipv6:", "xds:")
"""How gRPC's own targets begin; they are passed on as they are (grpc/doc/naming.md)."""
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    tls: bool
    host: str
    """A name or a number, without the brackets of IPv6; empty where `target` is gRPC's own."""
    port: int
    path: str = ""
    """What a proxy has in front of `/v1/models`."""
    target: str = ""
    """What gRPC is to connect to."""


def rest_address(text: str, name: str = "address") -> Address:
    """`http://host:port` or `https://host:port`, with a path in front of `/v1` if need be; ports as HTTP has them.

    Args:
      text: the address.
      name: the setting that it is of, for messages.

    Raises:
      InputError: it is none, or holds a password.
    """
    scheme, host, port, path = _parts(text, name)
    if scheme not in REST_SCHEMES:
        raise _wrong(text, name, "does not begin with http:// or https://")
    tls = scheme == "https"
    return Address(tls, host, port or (443 if tls else 80), path)


def grpc_address(text: str, name: str = "address") -> Address:
    """`host:port` or `grpc://host:port`, `grpcs://host:port` with TLS, or a target of gRPC's own, as `unix:/path`.

    Args, raises: as for `rest_address`.
    """
    if text.startswith(_RESOLVERS):
        return Address(tls=False, host="", port=0, target=text)
    scheme, host, port, path = _parts(text if "://" in text else f"grpc://{text}", name)
    if scheme not in GRPC_SCHEMES:
        raise _wrong(text, name, "does not begin with grpc:// or grpcs://")
    if path or not port:
        raise _wrong(text, name, "is not HOST:PORT")
    return Address(scheme == "grpcs", host, port, target=f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def is_rest(text: str) -> bool:
    """Whether an address is of a REST port, by how it begins."""
    return text.lower().startswith(tuple(f"{scheme}://" for scheme in REST_SCHEMES))


def _parts(text: str, name: str) -> tuple[str, str, int | None, str]:
    """Scheme, host, port and path."""
    if "@" in text:  # not shown: what stands before it is a secret
        raise InputError(
            f"`{name}` holds a user or a password, before the @",
            remedy="Leave that out: a token goes by `token_file` or `token_env`, over TLS.",
        )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _wrong(text, name, f"is no address ({error})") from None
    if parts.query or parts.fragment or not text.isprintable() or " " in text:
        raise _wrong(text, name, "is no address")
    if port == 0:
        raise _wrong(text, name, "has no port from 1 to 65535")
    return parts.scheme, _host(host, text, name), port, parts.path.rstrip("/")


def _host(host: str, text: str, name: str) -> str:
    """A host as the network calls it: names of other scripts in ASCII (IDNA)."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        host = host.encode("idna").decode()
    except UnicodeError:
        host = ""
    if not all(map(_LABEL.fullmatch, host.removesuffix(".").split("."))):
        raise _wrong(text, name, "names no host that there can be")
    return host


def _wrong(text: str, name: str, what: str) -> InputError:
    return InputError(
        f"`{name}`={printable(text)} {what}",
        remedy="Give http://HOST:8501 for REST, or HOST:8500 for gRPC; with TLS https:// or grpcs://.",
    )
