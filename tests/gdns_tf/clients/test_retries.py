"""Attempts, pauses and the deadline, on a clock that only pauses move."""

import pytest

from gdns_tf.clients.errors import InvalidRequest, Unavailable
from gdns_tf.clients.retries import RetryBudget, call_with_retries


class Clock:
    def __init__(self):
        self.now, self.pauses = 100.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


def call(attempt, timeout, jitter=0.0):
    clock = Clock()
    result = None
    try:
        result = call_with_retries(
            attempt, timeout, RetryBudget(clock), clock=clock, sleep=clock.sleep, jitter=lambda: jitter
        )
    except Exception as error:
        result = error
    return result, clock


def failing(times, error=Unavailable):
    """Fails so many times, then answers with the seconds that were left at each attempt."""
    left = []

    def attempt(seconds):
        left.append(seconds)
        if len(left) <= times:
            raise error("down")
        return left

    return attempt


def test_pauses_double_up_to_two_seconds():
    left, clock = call(failing(7), 60)
    assert clock.pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0])
    assert left == pytest.approx([60, 59.9, 59.7, 59.3, 58.5, 56.9, 54.9, 52.9])


def test_jitter_shortens_a_pause_by_up_to_half():
    assert call(failing(1), 60, jitter=1.0)[1].pauses == pytest.approx([0.05])
    assert call(failing(1), 60, jitter=0.5)[1].pauses == pytest.approx([0.075])


def test_gives_up_when_the_next_attempt_would_be_too_late():
    error, clock = call(failing(99), 1)
    assert isinstance(error, Unavailable)
    assert str(error) == "down (tried 4 times in 1 s)"
    assert clock.pauses == pytest.approx([0.1, 0.2, 0.4])  # 0.8 more would pass 1 s


def test_other_errors_are_not_tried_again():
    error, clock = call(failing(1, InvalidRequest), 60)
    assert isinstance(error, InvalidRequest)
    assert str(error) == "down"
    assert clock.pauses == []


def test_many_calls_of_a_dead_server_share_ten_retries_a_second_and_a_fifth_of_their_number():
    clock = Clock()
    budget, attempts = RetryBudget(clock), []

    def attempt(_):
        attempts.append(clock.now)
        raise Unavailable("down")

    def call_at_once(times):
        """Calls of as many clients, all without waiting; returns how many attempts they made beyond their first."""
        before = len(attempts)
        for _ in range(times):
            with pytest.raises(Unavailable, match=r"down \(tried \d times in 1 s\)|too many calls fail for more"):
                call_with_retries(attempt, 1, budget, clock=lambda: 0.0, sleep=lambda _: None, jitter=lambda: 0.0)
        return len(attempts) - before - times

    # A clock that stands still: what was saved up in ten seconds, and a fifth of each call.
    assert call_at_once(500) == pytest.approx(100 + 500 / 5, abs=2)
    clock.now += 3
    assert call_at_once(500) == pytest.approx(3 * 10 + 500 / 5, abs=2)
    clock.now += 1000
    assert call_at_once(500) == pytest.approx(100 + 500 / 5, abs=2)


def test_a_single_client_is_not_held_back():
    left, clock = call(failing(300), 86_400)
    assert len(left) == 301
    assert max(clock.pauses) == 2
