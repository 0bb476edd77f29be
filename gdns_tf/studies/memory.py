"""Memory of a process."""

import resource
import sys


def peak_memory() -> int:
    """The most memory that this process has had at a time, in bytes: its maximum resident set size.

    It is that of all of the process, with Python, its libraries and the data. On Linux it is at least what the process
    that started this one had at the start, too.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # elsewhere it counts in kibibytes
