"""What a kill leaves behind: every operation of this process that changes a folder can be stopped at, or looked at.

Python tells its audit hooks of each file that is opened to be written, renamed, removed, and of each folder made or
removed, before it does so. So the state of the disk before the next operation is that after the last one.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PLACES = {
    # Event -> where the paths and the descriptors of their folders stand among its arguments.
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.rmdir": ((0, 1),),
    "os.truncate": ((0, None),),
}
_acting: list[Callable[[str, tuple], None]] = []


def _hook(event: str, args: tuple) -> None:
    if _acting and (event in _PLACES or (event == "open" and args[2] & _WRITES)):
        _acting[-1](event, args)


sys.addaudithook(_hook)


@contextlib.contextmanager
def watching(folder: Path, act: Callable[[str], None]) -> Iterator[None]:
    """Calls `act` before every operation that changes something in a folder, or the folder itself, with its name."""
    inside = False

    def noticed(event: str, args: tuple) -> None:
        nonlocal inside
        if inside:
            return
        inside = True  # what `act` does is none of it
        try:
            paths = [_path(args[at], args[fd] if fd else -1) for at, fd in _PLACES.get(event, ((0, None),))]
            if any(path is not None and Path(path).is_relative_to(folder) for path in paths):
                act(f"{event} {' '.join(os.path.relpath(path, folder) for path in paths)}")
        finally:
            inside = False

    _acting.append(noticed)
    try:
        yield
    finally:
        _acting.remove(noticed)


def _path(name: object, folder: int) -> str | None:
    if isinstance(name, int) or name is None:
        return None
    above = os.getcwd() if folder in (-1, None) else os.readlink(f"/proc/self/fd/{folder}")
    return os.path.normpath(os.path.join(above, os.fsdecode(name)))


class Moments:
    """Copies of a folder as it was before each operation, without those that are as the one before."""

    def __init__(self, folder: Path, copies: Path) -> None:
        self.folder, self._copies = folder, copies
        self.operations: list[str] = []
        self.states: list[tuple[str, Path]] = []
        """What was about to be done, and the copy."""
        self._last: object = None
        self.is_on = False

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        with watching(self.folder, self._note):
            self.is_on = True
            yield
        self.is_on = False

    def _note(self, operation: str) -> None:
        self.operations.append(operation)
        now = contents(self.folder)
        if now != self._last:
            self.add(operation)
            self._last = now

    def add(self, name: str) -> Path:
        """Takes a copy of the folder as it is, and returns it."""
        copy = self._copies / str(len(self.states))
        if self.folder.exists():
            shutil.copytree(self.folder, copy, symlinks=True)
        self.states.append((name, copy))
        return copy

    def travel_to(self, copy: Path) -> None:
        """Makes the folder what it was."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if copy.exists():
            shutil.copytree(copy, self.folder, symlinks=True)


def contents(folder: Path) -> dict[str, bytes | None]:
    """All files and folders in a folder, by name."""
    paths = sorted(folder.rglob("*")) if folder.exists() else []
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in paths}
