"""Working days, Tet, and the ends of the periods that the law sets."""

from datetime import UTC, date, datetime

import pytest

from accounts import legal_clock
from accounts.legal_clock import (
    CITIZEN_LEVEL_01,
    CITIZEN_LEVEL_02,
    CITIZEN_WITHOUT_CARD,
    HANOI,
    ORGANISATION_ELSEWHERE,
    age,
    is_working_day,
    majority,
    working_days_between,
)


def hanoi(year: int, month: int, day: int, hour: int = 9) -> datetime:
    return datetime(year, month, day, hour, tzinfo=HANOI)


@pytest.mark.parametrize(
    "day",
    [
        date(2026, 11, 21),  # a Saturday
        date(2026, 1, 1),
        date(2026, 2, 17),  # Tet of the year of the horse
        date(2026, 2, 20),
        date(2026, 4, 26),  # the Hung Kings, a Sunday
        date(2026, 4, 27),  # which Monday makes up for
        date(2026, 4, 30),
        date(2026, 5, 1),
        date(2026, 9, 2),
        date(2026, 11, 24),  # Culture Day, new in 2026
    ],
)
def test_nobody_works_on(day: date) -> None:
    assert not is_working_day(day)


def test_a_saturday_worked_in_exchange_is_a_working_day() -> None:
    assert is_working_day(date(2026, 8, 22))
    assert not is_working_day(date(2026, 8, 31))


def test_the_next_working_day_after_a_friday_is_monday() -> None:
    assert CITIZEN_LEVEL_01.ends(hanoi(2026, 11, 13)) == hanoi(2026, 11, 17, 0)


def test_a_period_ends_at_midnight_in_hanoi_of_its_last_day() -> None:
    received = datetime(2026, 11, 15, 18, tzinfo=UTC)  # Monday, one o'clock at night in Hanoi
    assert CITIZEN_LEVEL_01.ends(received) == hanoi(2026, 11, 18, 0)
    assert CITIZEN_LEVEL_01.ends(received).astimezone(UTC).hour == 17


def test_tet_stops_the_clock() -> None:
    # Received on Friday the 13th; Tet is from the 16th (its eve) to the 20th.
    assert CITIZEN_LEVEL_02.ends(hanoi(2026, 2, 13)) == hanoi(2026, 2, 26, 0)
    assert working_days_between(hanoi(2026, 2, 13), hanoi(2026, 2, 25)) == 3


def test_seven_working_days_are_longer_than_a_week() -> None:
    assert CITIZEN_WITHOUT_CARD.ends(hanoi(2026, 11, 23)) == hanoi(2026, 12, 4, 0)


def test_days_that_end_at_a_weekend_end_on_the_next_working_day() -> None:
    assert ORGANISATION_ELSEWHERE.ends(hanoi(2026, 11, 20)) == hanoi(2026, 12, 8, 0)
    assert ORGANISATION_ELSEWHERE.ends(hanoi(2026, 11, 18)) == hanoi(2026, 12, 4, 0)


def test_age_changes_on_the_birthday() -> None:
    born = date(2012, 11, 22)
    assert age(born, date(2026, 11, 21)) == 13
    assert age(born, date(2026, 11, 22)) == 14
    assert age(date(2012, 2, 29), date(2026, 2, 28)) == 13
    assert age(date(2012, 2, 29), date(2026, 3, 1)) == 14


def test_majority_comes_at_midnight_in_hanoi() -> None:
    assert majority(date(2008, 11, 22)) == hanoi(2026, 11, 22, 0)
    assert majority(date(2008, 2, 29)) == hanoi(2026, 3, 1, 0)


def test_the_day_is_hanois() -> None:
    assert legal_clock.today(datetime(2026, 11, 22, 17, tzinfo=UTC)) == date(2026, 11, 23)
