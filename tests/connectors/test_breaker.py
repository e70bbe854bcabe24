"""A register that keeps failing is left alone, said to be away since when, and probed by one."""

import threading
from datetime import timedelta

import pytest

from connectors.breaker import REST, TOLERANCE, Breaker
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:  # no database here
    return Clock()


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(TOLERANCE):
        assert breaker.admits()
        breaker.failed()
    return breaker


def test_a_few_failures_close_nothing(clock: Clock) -> None:
    breaker = Breaker(clock)
    for _ in range(TOLERANCE - 1):
        breaker.failed()
    assert breaker.admits()
    assert not breaker.is_open


def test_a_success_forgets_the_failures_before_it(clock: Clock) -> None:
    breaker = Breaker(clock)
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()
    assert breaker.admits()
    assert breaker.not_available_since is None


def test_repeated_failure_holds_calls_back_for_a_rest(clock: Clock) -> None:
    breaker = opened(clock)
    assert breaker.is_open
    assert not breaker.admits()
    clock.advance(seconds=REST.total_seconds() - 1)
    assert not breaker.admits()


def test_the_moment_kept_is_that_of_the_first_failure(clock: Clock) -> None:
    breaker, begun = Breaker(clock), clock()
    for _ in range(10):
        breaker.failed()
        clock.advance(minutes=1)
    assert breaker.not_available_since == begun


def test_after_the_rest_one_call_probes_while_the_others_wait(clock: Clock) -> None:
    breaker = opened(clock)
    clock.advance(seconds=REST.total_seconds())
    admitted: list[bool] = []
    threads = [
        threading.Thread(target=lambda: admitted.append(breaker.admits())) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(admitted) == 1
    breaker.succeeded()
    assert breaker.admits()
    assert breaker.not_available_since is None


def test_a_failed_probe_begins_another_rest(clock: Clock) -> None:
    breaker = opened(clock)
    clock.advance(seconds=REST.total_seconds())
    assert breaker.admits()
    breaker.failed()
    clock.now += REST - timedelta(seconds=1)
    assert not breaker.admits()


def test_a_probe_that_never_comes_back_costs_one_rest(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += REST
    assert breaker.admits()
    clock.now += REST
    assert breaker.admits()
