"""The legal clock: by when the law wants an application decided, in Hanoi's days.

A day is a day in Viet Nam (UTC+7, no summer time). A working day is Monday to Friday and no public
holiday of the Labour Code, Art. 112, with Tet, the days that make up for a holiday at a weekend, and
the Saturdays that the Government announces as working days in exchange. The package `holidays` knows
them; announcements younger than the installed package are not in it. A period begins on the day after
the one it is counted from, and ends at midnight of its last day (Civil Code, Art. 147 and 148).
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
_MAJORITY = 18


class Unit(StrEnum):
    """In what a period is counted."""

    WORKING_DAYS = "working-days"
    DAYS = "days"


@dataclass(frozen=True)
class TimeLimit:
    """A period the law sets: so many days of the unit, by the paragraph named in ``law``."""

    days: int
    unit: Unit
    law: str

    def ends(self, received: datetime) -> datetime:
        """Return the first moment that is too late for something received at this moment."""
        day = received.astimezone(HANOI).date()
        if self.unit is Unit.WORKING_DAYS:
            for _ in range(self.days):
                day = next_working_day(day)
        else:
            day += timedelta(days=self.days)
            if not is_working_day(day):
                # Civil Code, Art. 148.5: a last day off moves to the next working day.
                day = next_working_day(day)
        return midnight(day + timedelta(days=1))


_ARTICLE = "Decree 69/2024/ND-CP, Article 13"
CITIZEN_LEVEL_01 = TimeLimit(1, Unit.WORKING_DAYS, _ARTICLE)
CITIZEN_LEVEL_02 = TimeLimit(3, Unit.WORKING_DAYS, _ARTICLE)
CITIZEN_WITHOUT_CARD = TimeLimit(7, Unit.WORKING_DAYS, _ARTICLE)
FOREIGNER_LEVEL_01 = TimeLimit(1, Unit.WORKING_DAYS, _ARTICLE)
FOREIGNER_LEVEL_02 = TimeLimit(3, Unit.WORKING_DAYS, _ARTICLE)
FOREIGNER_NEW_BIOMETRICS = TimeLimit(7, Unit.WORKING_DAYS, _ARTICLE)
ORGANISATION_IN_REGISTER = TimeLimit(3, Unit.WORKING_DAYS, _ARTICLE)
UNLOCKING = TimeLimit(2, Unit.WORKING_DAYS, "Decree 69/2024/ND-CP, Article 30")
"""From when the office that received an authority's request has passed it on."""
ORGANISATION_ELSEWHERE = TimeLimit(15, Unit.DAYS, _ARTICLE)


def is_working_day(day: date) -> bool:
    """True from Monday to Friday, public holidays excepted, and on a Saturday worked in exchange."""
    return _calendar(day.year).is_working_day(day)


def next_working_day(day: date) -> date:
    """Return the first working day after this day."""
    day += timedelta(days=1)
    while not is_working_day(day):
        day += timedelta(days=1)
    return day


def working_days_between(begin: datetime, end: datetime) -> int:
    """Return how many working days begin after the first moment's day, up to the second's."""
    day, last = begin.astimezone(HANOI).date(), end.astimezone(HANOI).date()
    count = 0
    while day < last:
        day += timedelta(days=1)
        count += is_working_day(day)
    return count


def today(now: datetime) -> date:
    """Return the day in Viet Nam."""
    return now.astimezone(HANOI).date()


def midnight(day: date) -> datetime:
    """Return the moment at which the day begins in Viet Nam."""
    return datetime.combine(day, time(), HANOI)


def age(born: date, on: date) -> int:
    """Return the age in full years; who was born on 29 February is a year older on 1 March."""
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def majority(born: date) -> datetime:
    """Return the moment at which somebody comes of age: the 18th birthday's midnight, in Hanoi."""
    try:
        return midnight(born.replace(year=born.year + _MAJORITY))
    except ValueError:
        return midnight(date(born.year + _MAJORITY, 3, 1))


def born_between(birthdate: str) -> tuple[date, date]:
    """Return the first and the last day on which somebody can have been born.

    Registers know of some people the year only ("1950"), or year and month.

    Raises:
        ValueError: it is no date.
    """
    parts = [int(part) for part in birthdate.split("-")]
    if len(parts) == 3:
        return (day := date(*parts)), day
    first = date(parts[0], parts[1] if len(parts) == 2 else 1, 1)
    after = date(first.year + 1, 1, 1)
    if len(parts) == 2 and first.month < 12:
        after = first.replace(month=first.month + 1)
    return first, after - timedelta(days=1)


def comes_of_age(birthdate: str) -> datetime:
    """Return the moment from which nobody acts for somebody as for a child any more.

    Where only the year is known it is the earliest day that can be: nobody should act for one who
    may be an adult. Whoever has to be an adult is one from the latest (``is_adult``).

    Raises:
        ValueError: it is no date.
    """
    return majority(born_between(birthdate)[0])


def is_adult(birthdate: str, now: datetime) -> bool:
    """True when somebody is of age for certain (Civil Code 2015 Art. 20)."""
    try:
        return majority(born_between(birthdate)[1]) <= now
    except ValueError:
        return False


@lru_cache(maxsize=8)
def _calendar(year: int) -> holidays.HolidayBase:
    return holidays.country_holidays("VN", years=[year], expand=False)
