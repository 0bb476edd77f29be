"""Trying again while a server cannot be reached, for no longer than the caller will wait."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from gdns_tf.clients.errors import Unavailable

Result = TypeVar("Result")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0


def call_with_retries(
    attempt: Callable[[float], Result],
    timeout: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
) -> Result:
    """Calls `attempt` until it does not raise Unavailable, with pauses that double from 0.1 to 2 s.

    Each pause is cut by up to half at random, so that clients of a server that restarts do not come all at once.

    Args:
      attempt: given the seconds left, answers or raises.
      timeout: seconds for all attempts and pauses together.
      clock, sleep, jitter: time in seconds, and a random number in [0, 1).

    Raises:
      Unavailable: of the last attempt, when there is no time for another.
    """
    deadline = clock() + timeout
    attempts = 0
    while True:
        try:
            attempts += 1
            return attempt(deadline - clock())
        except Unavailable as error:
            pause = min(FIRST_PAUSE * 2 ** (attempts - 1), LONGEST_PAUSE) * (1 - jitter() / 2)
            if clock() + pause >= deadline:
                tries = "once" if attempts == 1 else f"{attempts} times"
                raise Unavailable(f"{error} (tried {tries} in {timeout:g} s)") from error
            sleep(pause)
