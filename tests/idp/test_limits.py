"""Limits on guessing."""

from datetime import timedelta

from sqlalchemy import select

from idp.limits import Limit, failure
from idp.services import Services
from tests.support.clock import Clock

THREE = Limit("test", 3, timedelta(minutes=10))
OTHER = Limit("other", 3, timedelta(minutes=10))


def test_a_limit_is_used_up_by_failures_and_comes_back_with_the_window(
    services: Services, clock: Clock
) -> None:
    for _ in range(3):
        assert not services.limits.is_exhausted((THREE, "k"))
        services.limits.count_failure((THREE, "k"))
    assert services.limits.is_exhausted((THREE, "k"))
    clock.advance(minutes=10)
    assert not services.limits.is_exhausted((THREE, "k"))


def test_keys_and_names_are_counted_apart(services: Services) -> None:
    for _ in range(3):
        services.limits.count_failure((THREE, "k"))
    assert not services.limits.is_exhausted((THREE, "other"))
    assert not services.limits.is_exhausted((OTHER, "k"))
    assert services.limits.is_exhausted((OTHER, "k"), (THREE, "k"))


def test_who_failed_where_is_not_readable(services: Services) -> None:
    services.limits.count_failure((THREE, "999190000001"))
    for row in services.db.execute(select(failure.c.key)):
        assert b"999190000001" not in row.key


def test_windows_that_are_over_are_purged(services: Services, clock: Clock) -> None:
    services.limits.count_failure((THREE, "k"))
    assert services.limits.purge(clock()) == 0
    assert services.limits.purge(clock() + timedelta(minutes=10)) == 1
