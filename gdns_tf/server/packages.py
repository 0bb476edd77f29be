"""The packages that the server needs beside those that are always there."""

import importlib.util

from pipelines.errors import InputError

_PACKAGES = {
    "grpc": "grpcio",
    "grpc_health": "grpcio-health-checking",
    "starlette": "starlette",
    "tensorflow_serving": "tensorflow-serving-api",
    "uvicorn": "uvicorn",
}
"""Module -> the package that brings it; they are the extra `serve` of setup.cfg."""


def require_packages() -> None:
    """Raises InputError, saying how to install them, where packages are missing."""
    if missing := [package for module, package in _PACKAGES.items() if importlib.util.find_spec(module) is None]:
        raise InputError(
            f"the server needs {', '.join(missing)}", remedy="Install what is missing: pip install 'gdns_tf[serve]'"
        )
