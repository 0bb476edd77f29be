"""Trying again while a server cannot be reached, for no longer than the caller will wait."""

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from gdns_tf.clients.errors import Unavailable

Result = TypeVar("Result")
Clock = Callable[[], float]

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0


class RetryBudget:
    """How many attempts more than calls the clients of a server make: so that one that is down is not stormed.

    As in Finagle (`RetryBudget.scala`): every call pays in a fifth of a retry, and ten more come each second, so that a
    single client is not held back; what is not spent within ten seconds is lost. Safe to use from several threads.
    """

    PER_SECOND, PER_CALL, KEPT_SECONDS = 10.0, 0.2, 10.0

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._most = self.PER_SECOND * self.KEPT_SECONDS
        self._left, self._counted = self._most, clock()

    def pay_in(self) -> None:
        """Of a call that begins."""
        with self._lock:
            self._add(self.PER_CALL)

    def spend(self) -> bool:
        """Takes one retry; whether there was one."""
        with self._lock:
            self._add(0.0)
            enough = self._left >= 1
            self._left -= enough
            return enough

    def _add(self, more: float) -> None:
        now = self._clock()
        self._left = min(self._left + more + self.PER_SECOND * (now - self._counted), self._most)
        self._counted = now


def call_with_retries(
    attempt: Callable[[float], Result],
    timeout: float,
    budget: RetryBudget,
    *,
    clock: Clock = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
) -> Result:
    """Calls `attempt` until it does not raise Unavailable, with pauses that double from 0.1 to 2 s.

    Each pause is cut by up to half at random, so that clients of a server that restarts do not come all at once.

    Args:
      attempt: given the seconds left, answers or raises.
      timeout: seconds for all attempts and pauses together.
      budget: of all calls to the server.
      clock, sleep, jitter: time in seconds, and a random number in [0, 1).

    Raises:
      Unavailable: of the last attempt, when there is no time for another, or no retry left in the budget.
    """
    deadline = clock() + timeout
    attempts = 0
    budget.pay_in()
    while True:
        try:
            attempts += 1
            return attempt(deadline - clock())
        except Unavailable as error:
            tries = "once" if attempts == 1 else f"{attempts} times"
            pause = min(FIRST_PAUSE * 2 ** (attempts - 1), LONGEST_PAUSE) * (1 - jitter() / 2)
            if clock() + pause >= deadline:
                raise Unavailable(f"{error} (tried {tries} in {timeout:g} s)") from error
            if not budget.spend():
                raise Unavailable(f"{error} (tried {tries}; too many calls fail for more)") from error
            sleep(pause)
