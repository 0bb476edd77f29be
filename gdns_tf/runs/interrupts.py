"""Ctrl-C (SIGINT) and SIGTERM, taken note of and left to the training loop."""

import signal
import threading
from types import FrameType, TracebackType


class Interrupted(Exception):
    """A run was asked to stop; it is saved, and the same command goes on with it."""


class Interrupts:
    """Within `with`, the first signal only sets `received`; a second Ctrl-C breaks off at once."""

    def __init__(self) -> None:
        self.received = False
        self._former: dict[int, object] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():  # elsewhere Python lets nobody set handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = True

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
