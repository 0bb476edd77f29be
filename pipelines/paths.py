"""Paths on this machine and in object stores, so that `gs://bucket/x.csv` is read as `x.csv` is.

`gs://` goes through TensorFlow's own file system, `s3://`, `az://` and `hf://` through fsspec and the package that it
names for each. What is wrong with a store (no package, no network, no permission) is an `InputError`.
"""

import contextlib
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import fsspec
from etils import epath
from etils.epath import backend, gpath

from pipelines.errors import InputError

AnyPath = Path | epath.Path
_PACKAGES = {"gs": "", "s3": "s3fs", "az": "adlfs", "hf": "huggingface_hub"}
"""Scheme -> the package that it needs beside those that are always there."""
_BUFFER_BYTES = 1 << 20


def as_path(path: str | os.PathLike) -> AnyPath:
    """The path that a text names: a `pathlib.Path`, in which `~` is the home folder, or one in an object store.

    Raises:
      InputError: the text has the form `scheme://...` of a store that cannot be read here, begins with the `~` of
        nobody, holds a NUL, or is not UTF-8.
    """
    text = os.fspath(path)
    scheme, is_remote, _ = text.partition("://")
    if "\0" in text:
        raise InputError("a NUL is in this path, and no name has one", path=text)
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # so Python shows bytes that are none of UTF-8
        raise InputError(
            "this name is not UTF-8, and no file of settings could hold it", path=text, remedy="Rename it."
        )
    if not is_remote:
        try:
            return Path(text).expanduser()
        except RuntimeError:
            home = PurePosixPath(text).parts[0]
            remedy = f"Write the folder out, or ./{home} for one of that name."
            raise InputError(f"no home folder is known of {home}", path=text, remedy=remedy) from None
    if scheme not in _PACKAGES:
        known = ", ".join(f"{name}://" for name in _PACKAGES)
        raise InputError(f"{scheme}:// is not known", path=text, remedy=f"Use {known} or a path on this machine.")
    if package := _PACKAGES[scheme]:
        try:
            fsspec.get_filesystem_class(scheme)
        except ImportError as error:
            raise InputError(
                f"{scheme}:// cannot be read without {package}", path=text, remedy=f"Install it: pip install {package}"
            ) from error
    return RemotePath(text)


def is_remote(path: str | os.PathLike) -> bool:
    """Whether the path is an address in an object store, such as gs://bucket/models, and no place on this machine."""
    return "://" in os.fspath(path)


def is_within(path: str | os.PathLike, folder: str | os.PathLike) -> bool:
    """Whether a path is a folder, or lies in it, however both are written."""
    path, folder = (
        PurePosixPath(each) if is_remote(each) else Path(os.path.realpath(as_path(each))) for each in (path, folder)
    )
    return path.is_relative_to(folder)


class RemotePath(gpath.PosixGPath):
    """A path in an object store."""

    @property
    def _backend(self) -> backend.Backend:
        # etils hands every scheme to TensorFlow, which knows only gs:// of them.
        return super()._backend if self._uri_scheme == "gs" else backend.fsspec_backend

    def exists(self) -> bool:
        with _reaching(self):
            return super().exists()

    def is_dir(self) -> bool:
        with _reaching(self):
            return super().is_dir()

    def iterdir(self) -> Iterator["RemotePath"]:
        with _reaching(self):
            return iter(list(super().iterdir()))

    def open(self, mode: str = "rb") -> BinaryIO:
        """The file as a buffered stream of bytes to read, as `open` gives it for a local one."""
        if mode != "rb":
            raise ValueError(f"mode {mode!r}: files in a store are read as bytes, and written by `upload`")
        return io.BufferedReader(_Stream(self), _BUFFER_BYTES)

    def read_text(self, encoding: str = "utf-8") -> str:
        with self.open() as file:
            return file.read().decode(encoding)

    def unlink(self, missing_ok: bool = False) -> None:
        with _reaching(self):
            super().unlink(missing_ok)

    def download(self, local: Path) -> None:
        """Makes a local file a copy of this one."""
        with self.open() as file, local.open("wb") as copy:
            shutil.copyfileobj(file, copy, _BUFFER_BYTES)

    def upload(self, local: Path) -> None:
        """Makes this file a copy of a local one, whole or not at all."""
        with _reaching(self):
            if self._backend is backend.fsspec_backend:
                self._backend.fs(self).put_file(str(local), str(self))
            else:
                self._backend.copy(str(local), str(self), overwrite=True)


class _Stream(io.RawIOBase):
    """The least that `io.BufferedReader` needs, of files that know no more than read, seek and tell (TensorFlow's)."""

    def __init__(self, path: RemotePath) -> None:
        self._path, self._stack = path, contextlib.ExitStack()
        with _reaching(path):
            self._file = self._stack.enter_context(super(RemotePath, path).open("rb"))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        with _reaching(self._path):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with _reaching(self._path):
            self._file.seek(offset, whence)
            return self._file.tell()

    def close(self) -> None:
        if not self.closed:
            self._stack.close()
        super().close()


@contextlib.contextmanager
def _reaching(path: RemotePath) -> Iterator[None]:
    """Turns whatever a store's client raises into an InputError, but for a file that is not there."""
    try:
        yield
    except (FileNotFoundError, InputError):
        raise
    except Exception as error:  # Each client has errors of its own, of no common base.
        raise InputError(
            f"cannot be reached ({type(error).__name__}: {error})",
            path=str(path),
            remedy="Check the address, the network and your credentials, or copy the data to this machine.",
        ) from error
