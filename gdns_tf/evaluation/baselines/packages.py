"""The packages that baselines are fitted by, none of which the rest of the project needs."""

from importlib.util import find_spec

from pipelines.errors import InputError

REMEDIES = {
    "cornac": "pip install 'gdns_tf[peers]'",
    "implicit": "pip install 'gdns_tf[peers]'",
    "irspack": "pip install 'gdns_tf[peers]'",
    "threadpoolctl": "pip install 'gdns_tf[peers]'",
    "lightfm": "pip install 'gdns_tf[warp]', which needs a C compiler; or leave WARP out",
}


def require_package(package: str, by: str) -> None:
    """Raises InputError, saying what to do, if a package is not installed.

    Args:
      package: a key of `REMEDIES`.
      by: what needs it, as the message says.
    """
    if find_spec(package) is None:
        raise InputError(f"{by} needs the package {package}", remedy=REMEDIES[package])
