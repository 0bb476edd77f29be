"""The one error that bad input raises."""

from pathlib import Path


class DataError(ValueError):
    """Input that cannot be used: says what is wrong, where, and what to do about it."""

    def __init__(self, problem: str, *, path: str | Path = "", line: int | None = None, remedy: str = "") -> None:
        """Args:
        problem: what is wrong, without a full stop.
        path: the file or folder it is wrong in.
        line: its line there, counted from 1.
        remedy: what the user can do, a sentence.
        """
        where = f"{path}, line {line}: " if line is not None else f"{path}: " if str(path) else ""
        super().__init__(f"{where}{problem}.{' ' + remedy if remedy else ''}")
        self.path, self.line = str(path), line
