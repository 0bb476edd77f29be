"""Downloads a file whole or not at all."""

import hashlib
import os
import queue
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from pipelines.errors import InputError

_CONNECT_SECONDS = 5.0
_CHUNK_BYTES = 1 << 18


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
    if target.exists() and _md5(target) == checksum:
        return target
    remedy = remedy or f"Download it by hand and save it as {target}."
    with _connect(url, "GET", remedy) as response:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror})", path=target.parent, remedy=remedy) from error
        try:
            with open(descriptor, "wb") as file:
                found = _copy(response, file, url, remedy)
            if found != checksum:
                raise InputError(
                    f"the checksum of {url} is {found}, not {checksum}: what was sent is not the published file",
                    remedy=remedy,
                )
            os.replace(name, target)
        except BaseException:  # an interrupt too must leave nothing behind
            os.unlink(name)
            raise
    return target


def require_reachable(url: str, remedy: str) -> None:
    """Raises InputError within seconds if `url` cannot be downloaded."""
    _connect(url, "HEAD", remedy).close()


def _connect(url: str, method: str, remedy: str) -> BinaryIO:
    """Opens `url`, in a thread because no timeout bounds the look-up of a host name."""
    outcome: queue.SimpleQueue = queue.SimpleQueue()

    def connect() -> None:
        try:
            request = urllib.request.Request(url, method=method)
            outcome.put(urllib.request.urlopen(request, timeout=_CONNECT_SECONDS))
        except Exception as error:
            outcome.put(error)

    threading.Thread(target=connect, daemon=True).start()
    try:
        answer = outcome.get(timeout=2 * _CONNECT_SECONDS)
    except queue.Empty:
        answer = TimeoutError(f"no answer in {2 * _CONNECT_SECONDS:.0f} seconds")
    if isinstance(answer, urllib.error.HTTPError):
        raise InputError(f"the server refuses {url}: {answer.code} {answer.reason}", remedy=remedy) from answer
    if isinstance(answer, (OSError, HTTPException)):
        reason = getattr(answer, "reason", answer)
        raise InputError(f"cannot download {url}: {reason}", remedy=f"Check the network. {remedy}") from answer
    if isinstance(answer, Exception):
        raise answer
    return answer


def _copy(response: BinaryIO, file: BinaryIO, url: str, remedy: str) -> str:
    """Copies a response to a file and returns its MD5."""
    digest, size = hashlib.md5(), int(response.headers.get("Content-Length") or 0)
    name = url.rsplit("/", 1)[-1]
    with tqdm(total=size or None, desc=name, unit="B", unit_scale=True, file=sys.stderr, disable=None) as progress:
        while chunk := _read(response, url, remedy):
            try:
                file.write(chunk)
            except OSError as error:
                raise InputError(
                    f"{url} cannot be saved ({error.strerror})", remedy="Make room on the disk."
                ) from error
            digest.update(chunk)
            progress.update(len(chunk))
    if file.tell() < size:
        raise InputError(f"{url} broke off after {file.tell()} of {size} bytes", remedy=f"Try again. {remedy}")
    return digest.hexdigest()


def _read(response: BinaryIO, url: str, remedy: str) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except (OSError, HTTPException) as error:
        raise InputError(f"{url} broke off ({error})", remedy=f"Try again. {remedy}") from error


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
