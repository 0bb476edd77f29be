"""Opens what a reader reads: a plain file, a gzip file or a member of a zip, with one kind of error for all of them."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from pipelines.errors import InputError
from pipelines.paths import AnyPath

_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Source:
    """A file on disk, or a member of a zip file."""

    path: AnyPath
    member: str = ""
    """Name inside the zip at `path`; empty: the file itself, unpacked if it is gzip."""

    def __str__(self) -> str:
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes as a stream; whatever goes wrong while they are read becomes a `InputError`.

        Raises:
          InputError: the file is missing, a folder, not readable, or a truncated or damaged archive.
        """
        try:
            with ExitStack() as stack:
                yield self._stream(stack)
        except FileNotFoundError:
            raise InputError("no such file", path=self, remedy="Check `data_dir`.") from None
        except IsADirectoryError:
            raise InputError(
                "this is a folder, not a file", path=self, remedy="Give the file itself as `data_dir`."
            ) from None
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
            raise InputError(
                f"the archive is truncated or damaged ({error})", path=self, remedy="Copy or download it again."
            ) from error
        except OSError as error:
            remedy = "Check the path and its permissions."
            raise InputError(f"cannot be read ({error.strerror or error})", path=self, remedy=remedy) from error

    def text(self, *encodings: str) -> str:
        """The whole content, decoded by the first of `encodings` that fits (default: UTF-8 alone).

        Raises:
          InputError: as `open`, or no encoding fits.
        """
        with self.open() as file:
            content = file.read()
        for encoding in encodings or ("utf-8-sig",):
            try:
                return content.decode(encoding)
            except UnicodeDecodeError as error:
                line = content.count(b"\n", 0, error.start) + 1
        raise not_utf8(self, line)

    def _stream(self, stack: ExitStack) -> BinaryIO:
        file = stack.enter_context(self.path.open("rb"))
        if self.member:
            archive = stack.enter_context(zipfile.ZipFile(file))
            try:
                return stack.enter_context(archive.open(self.member))
            except (KeyError, RuntimeError, NotImplementedError) as error:  # absent, encrypted, unknown compression
                raise InputError(f"cannot be read from the zip ({error})", path=self) from error
        if self.path.suffix == ".gz" or file.peek(2).startswith(_GZIP_MAGIC):
            return stack.enter_context(gzip.GzipFile(fileobj=file))
        return file


def not_utf8(source: Source, line: int) -> InputError:
    """The error for text in an encoding that is not UTF-8."""
    return InputError(
        "not UTF-8 text",
        path=source,
        line=line,
        remedy="Convert it first, for example: iconv -f LATIN1 -t UTF-8 (or -f UTF-16) OLD > NEW.",
    )


def require_given(path: AnyPath | None, what: str) -> None:
    """Raises InputError if `data_dir` was left empty or nothing is there; `what` says what it should name."""
    if path is None:
        raise InputError("`data_dir` is empty", remedy=f"Set it to {what}.")
    if not path.exists():
        raise InputError("no such file or folder", path=path, remedy=f"Set `data_dir` to {what}.")
