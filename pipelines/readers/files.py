"""Opens what a reader reads: a plain file, a gzip file or a member of a zip, with one kind of error for all of them.

Nothing is read that is no file (a pipe nobody writes, a device that never ends), and nothing without end: archives that
unpack to absurdly much are refused, and so are lines.
"""

import codecs
import errno
import gzip
import io
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zipfile import ZipFile, ZipInfo

from pipelines.errors import InputError, shown
from pipelines.paths import AnyPath

MAX_RECORD_BYTES = 16 << 20
"""Of a line or row of data: a user with two million items, say."""
_MAX_LINE_BYTES, _MAX_TEXT_BYTES = 1 << 20, 64 << 20
"""Of a line and the whole of a file that names things: MovieLens's largest has 4 MB."""
_FREE_BYTES, _MAX_RATIO = 256 << 20, 100
"""An archive may unpack to so many bytes, and beyond them to so many times its size: clicks and ratings pack to a fifth
or a tenth, and a bomb to a thousandth."""
_GZIP_MAGIC = b"\x1f\x8b"
_UTF8_BOM = b"\xef\xbb\xbf"
_AGAIN = "Copy or download it again."
_WITHOUT = "Check that this is the right file, or move it away to do without it."
_KINDS = {
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


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
          InputError: the file is missing, a folder or no file at all, not readable, or an archive that is truncated,
            damaged or a bomb.
        """
        try:
            with ExitStack() as stack:
                yield self._stream(stack)
        except FileNotFoundError:
            raise InputError("no such file", path=self, remedy="Check the path.") from None
        except IsADirectoryError:
            raise InputError("this is a folder, not a file", path=self, remedy="Give the file itself.") from None
        except OSError as error:
            raise _unreadable(error, self) from error

    def lines(self, *encodings: str, most: int = _MAX_TEXT_BYTES) -> Iterator[tuple[int, str]]:
        """Number, from 1, and text of each line with its end, decoded by the first of `encodings` that fits them all.

        Args:
          *encodings: as Python names them, UTF-8 alone if there are none; an order mark of UTF-8 is left out.
          most: bytes that there may be.

        Raises:
          InputError: as `open`; no encoding fits; or a line, or all together, are too long for what names things.
        """
        encodings = encodings or ("utf-8",)
        encoding = next((each for each in encodings if self._fits(each, most)), encodings[-1])
        with self.open() as file:
            for number, line in enumerate(iter(lambda: file.readline(_MAX_LINE_BYTES + 1), b""), start=1):
                if len(line) > _MAX_LINE_BYTES:
                    problem = f"a line of more than {_MAX_LINE_BYTES >> 20} MiB"
                    raise InputError(problem, path=self, line=number, remedy=_WITHOUT)
                try:
                    yield number, (line.removeprefix(_UTF8_BOM) if number == 1 else line).decode(encoding)
                except UnicodeDecodeError:
                    raise not_utf8(self, number) from None

    def _fits(self, encoding: str, most: int) -> bool:
        """Whether all of the file is in an encoding."""
        decoder, total = codecs.getincrementaldecoder(encoding)(), 0
        with self.open() as file:
            try:
                for block in iter(lambda: file.read(_MAX_LINE_BYTES), b""):
                    total += len(block)
                    if total > most:
                        raise InputError(f"more than {most >> 20} MiB of text", path=self, remedy=_WITHOUT)
                    decoder.decode(block)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                return False
        return True

    def _stream(self, stack: ExitStack) -> BinaryIO:
        require_file(self.path)
        file = stack.enter_context(self.path.open("rb"))
        if self.member:
            archive = stack.enter_context(_zip(file, self))
            with _unpacking(self):
                unpacked = stack.enter_context(archive.open(self.member))
                begins = archive.getinfo(self.member).header_offset
        elif self.path.suffix == ".gz" or file.peek(2).startswith(_GZIP_MAGIC):
            unpacked, begins = stack.enter_context(gzip.GzipFile(fileobj=file)), 0
        else:
            return file
        return stack.enter_context(io.BufferedReader(_Unpacked(unpacked, file, begins, self), 1 << 20))


class _Unpacked(io.RawIOBase):
    """What an archive unpacks to, up to where it is absurdly much."""

    def __init__(self, unpacked: BinaryIO, packed: BinaryIO, begins: int, source: Source) -> None:
        """Args:
        unpacked: the stream of a decompressor.
        packed: the file that it reads from.
        begins: where in that it began.
        source: what error messages name.
        """
        self._unpacked, self._packed, self._begins, self._source = unpacked, packed, begins, source

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._unpacked.seekable()

    def readinto(self, buffer: memoryview) -> int:
        with _unpacking(self._source):
            count = self._unpacked.readinto(buffer)
            size, packed = self._unpacked.tell(), self._packed.tell() - self._begins
        if size > _FREE_BYTES and size > _MAX_RATIO * packed:
            raise InputError(
                f"{packed:,} bytes of this archive unpack to more than {size >> 20:,} MiB, and no real data does",
                path=self._source,
                remedy="Check where it comes from. If it is right, unpack it first.",
            )
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with _unpacking(self._source):
            return self._unpacked.seek(offset, whence)


@contextmanager
def _unpacking(source: Source) -> Iterator[None]:
    """Turns whatever a decompressor raises into an InputError; of damaged bytes it may be nearly anything."""
    try:
        yield
    except InputError:
        raise
    except (KeyError, RuntimeError, NotImplementedError) as error:  # absent, encrypted, unknown compression
        raise InputError(f"cannot be read from the zip ({shown(str(error))})", path=source, remedy=_AGAIN) from error
    except Exception as error:
        problem = f"the archive is truncated or damaged ({shown(str(error))})"
        raise InputError(problem, path=source, remedy=_AGAIN) from error


def _zip(file: BinaryIO, source: Source) -> ZipFile:
    with _unpacking(source):
        return ZipFile(file)


def zip_members(path: AnyPath) -> list[ZipInfo]:
    """What a zip file holds.

    Raises:
      InputError: it cannot be read, or is none.
    """
    source = Source(path)
    with source.open() as file, _zip(file, source) as archive:
        return archive.infolist()


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
    with reading(path):
        if isinstance(path, Path):
            try:
                path.stat()  # `exists` passes over links that lead in a circle
                return
            except (FileNotFoundError, NotADirectoryError):
                pass
        elif path.exists():
            return
        link = f", it is a link to {os.readlink(path)}" if isinstance(path, Path) and path.is_symlink() else ""
    raise InputError(f"no such file or folder{link}", path=path, remedy=f"Set `data_dir` to {what}.")


def require_file(path: AnyPath) -> None:
    """Raises InputError where what a path names is a pipe, a socket or a device, and OSError where it is not there."""
    if isinstance(path, Path) and (kind := _KINDS.get(stat.S_IFMT(path.stat().st_mode))):
        raise InputError(f"this is {kind}, not a file", path=path, remedy="Write what it gives into a file first.")


@contextmanager
def reading(path: AnyPath) -> Iterator[None]:
    """Turns what the file system refuses, of a path or of what lies below it, into an InputError."""
    try:
        yield
    except OSError as error:
        raise _unreadable(error, path) from error


def _unreadable(error: OSError, path: object) -> InputError:
    """The error for what the file system refuses."""
    reason = "the name is too long" if error.errno == errno.ENAMETOOLONG else error.strerror or error
    remedy = "Check the path and its permissions."
    where = path if error.filename is None else error.filename
    return InputError(f"cannot be read ({reason})", path=where, remedy=remedy)
