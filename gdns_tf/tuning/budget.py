"""The time that a search may take."""

import time
from collections.abc import Callable


class Budget:
    """Counts seconds, those of former calls counted in."""

    def __init__(self, minutes: float, spent: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Args:
        minutes: in all.
        spent: seconds of them that went before.
        clock: tells seconds.
        """
        self._total, self._spent, self._clock = 60 * minutes, spent, clock
        self._began = clock()

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return self._spent + self._clock() - self._began

    @property
    def is_over(self) -> bool:
        return self.spent >= self._total
