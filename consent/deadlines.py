"""By when what a person asks for has to be answered, as data: the right, who acts, how long, by which law.

Rows marked in docs/personal-data.md as to be verified come from secondary sources; a lawyer compares them
with the gazette, and a change is a new row with the day from which it holds.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from accounts.legal_clock import HANOI, TimeLimit, Unit

_LAW = "Decree 356/2025/ND-CP, Article 5"


class Right(StrEnum):
    """What a person can ask for (Law 91/2025/QH15 Art. 4)."""

    EXPLAIN = "explain"
    """To be told why: viewing and being informed."""
    OBJECT = "object"
    """To have the use stopped: objecting and restricting."""
    COMPLAIN = "complain"


@dataclass(frozen=True)
class Deadline:
    """One row. ``extension`` may be taken once, with a reason; ``through_others`` holds where a
    processor or third party has to act too.
    """

    right: Right
    answer: TimeLimit
    through_others: TimeLimit
    extension: TimeLimit
    valid_from: date
    acknowledge: TimeLimit


def _days(days: int) -> TimeLimit:
    return TimeLimit(days, Unit.DAYS, _LAW)


_NOTED = TimeLimit(2, Unit.WORKING_DAYS, _LAW)


_IN_FORCE = date(2026, 1, 1)
DEADLINES = (
    Deadline(Right.EXPLAIN, _days(10), _days(10), _days(10), _IN_FORCE, _NOTED),
    Deadline(Right.OBJECT, _days(15), _days(20), _days(15), _IN_FORCE, _NOTED),
    Deadline(Right.COMPLAIN, _days(15), _days(20), _days(15), _IN_FORCE, _NOTED),
)
WITHDRAWAL = Deadline(Right.OBJECT, _days(15), _days(20), _days(15), _IN_FORCE, _NOTED)
"""What an agency has to stop after a consent was withdrawn; here it stops at once."""


def deadline(right: Right, received: datetime) -> Deadline:
    """Return the row that holds for something received at the moment: the newest in force then."""
    day = received.astimezone(HANOI).date()
    holding = [one for one in DEADLINES if one.right is right and one.valid_from <= day]
    # What was received before the first row is treated by it: nobody's right is without a limit.
    rows = holding or [one for one in DEADLINES if one.right is right]
    return max(rows, key=lambda one: one.valid_from)
