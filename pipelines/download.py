"""Downloads a file whole or not at all, by pooch, and says within seconds when there is no network."""

import os
import queue
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pooch
import requests

from pipelines.errors import InputError

_CONNECT_SECONDS = 5.0

pooch.get_logger().setLevel("WARNING")  # else it prints each download, where the progress bar does so on a terminal


def cache_folder() -> Path:
    """Where downloads are kept: `$XDG_CACHE_HOME/gdns_tf`, by default `~/.cache/gdns_tf`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gdns_tf"


def fetch(url: str, checksum: str, target: Path, *, remedy: str = "") -> Path:
    """Downloads `url` to `target`, unless a file with this checksum is already there.

    The bytes go to a temporary file in the target's folder, which takes the target's name only when the checksum
    is right. Progress is shown on standard error if that is a terminal.

    Args:
      url: the address.
      checksum: the MD5 of the file, 32 hex digits.
      target: the file to make; its folder is made too.
      remedy: how to do without the download, a sentence for the error message.

    Returns:
      `target`.

    Raises:
      InputError: no network, no such address, an answer cut short or with another checksum, or a folder that cannot
        be written. Nothing half-written is left.
    """
    remedy = remedy or f"Download it by hand and save it as {target}."
    try:
        if target.exists() and pooch.file_hash(target, "md5") == checksum:
            return target
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
        raise InputError(problem, path=target, remedy="Move it away.") from error
    require_reachable(url, remedy)
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=_CONNECT_SECONDS)
    try:
        pooch.retrieve(url, f"md5:{checksum}", fname=target.name, path=target.parent, downloader=downloader)
    except requests.RequestException as error:
        raise InputError(f"{url} broke off ({error})", remedy=f"Try again. {remedy}") from error
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror or error})", path=target, remedy=remedy) from error
    except ValueError as error:
        problem = f"what {url} sent is not the published file ({str(error).split('. ')[0]})"
        raise InputError(problem, remedy=remedy) from error
    return target


def require_reachable(url: str, remedy: str) -> None:
    """Raises InputError within seconds if `url` cannot be downloaded.

    It asks in a thread, because no timeout bounds the look-up of a host name.
    """
    outcome: queue.SimpleQueue = queue.SimpleQueue()

    def connect() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_CONNECT_SECONDS).close()
            outcome.put(None)
        except Exception as error:
            outcome.put(error)

    threading.Thread(target=connect, daemon=True).start()
    try:
        error = outcome.get(timeout=2 * _CONNECT_SECONDS)
    except queue.Empty:
        error = TimeoutError(f"no answer in {2 * _CONNECT_SECONDS:.0f} seconds")
    if isinstance(error, urllib.error.HTTPError):
        raise InputError(f"the server refuses {url}: {error.code} {error.reason}", remedy=remedy) from error
    if error is not None:  # of addresses and proxies, too, that are written wrongly
        reason = getattr(error, "reason", error)
        raise InputError(f"cannot download {url}: {reason}", remedy=f"Check the network. {remedy}") from error
