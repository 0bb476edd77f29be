"""Whether something fits into memory, told before it is tried: the system may kill a process that asks for too much."""

import os
from pathlib import Path

from pipelines.errors import InputError

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where containers have theirs, in cgroups of version 2 and 1; "max", or a huge number, where there is none."""


def require_memory(needed: float, by: str, remedy: str, *, free: float | None = None) -> None:
    """Raises InputError, with the estimate, where a computation would not fit into memory.

    Args:
      needed: bytes, estimated.
      by: what needs them, as the message says.
      remedy: what to do instead.
      free: bytes that there are, where it is not of this machine's memory; None: what this process may take.
    """
    if needed > (free := available_memory() if free is None else free):
        told = f"{by} would take about {needed / 2**30:,.1f} GiB of memory, and {free / 2**30:,.1f} are free"
        raise InputError(told, remedy=remedy)


def available_memory() -> float:
    """Bytes that this process may take: what is free or can be freed, and no more than its container may have.

    Infinite where the system does not tell.
    """
    found = [_linux(), *(float(text) for path in _LIMITS if (text := _read(path)).isdigit())]
    return min(found)


def _linux() -> float:
    """`MemAvailable`, which counts in what is cached and can be dropped; elsewhere all of the machine's memory."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return 1024 * float(line.split()[1])
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):  # Windows has none of it
        return float("inf")


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
