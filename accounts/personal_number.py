"""What the digits of a personal number tell, and whether it fits a person: never more than a warning.

Three digits of the place, one of century and sex, two of the year of birth, six of a serial (Circular
59/2021/TT-BCA). There is no check digit, and numbers are established anew when sex or year of birth are
corrected (Decree 70/2024/ND-CP Art. 11), so what does not fit may still be right.
"""

from datetime import date
from enum import StrEnum

_FIRST_CENTURY = 19


class Doubt(StrEnum):
    """What does not fit."""

    YEAR = "year"
    SEX = "sex"


def doubts(number: str, birthdate: str = "", sex: str = "") -> tuple[Doubt, ...]:
    """Return what in the number does not fit birth date (ISO 8601, or the year alone) and sex (male
    or female); of what is not stated nothing is said.
    """
    if len(number) != 12 or not number.isdigit():
        return ()
    century, is_female = divmod(int(number[3]), 2)
    found = []
    year = _year(birthdate)
    if year is not None and year != (century + _FIRST_CENTURY) * 100 + int(number[4:6]):
        found.append(Doubt.YEAR)
    if sex in {"male", "female"} and bool(is_female) != (sex == "female"):
        found.append(Doubt.SEX)
    return tuple(found)


def _year(birthdate: str) -> int | None:
    if len(birthdate) == len("YYYY") and birthdate.isdigit():
        return int(birthdate)
    try:
        return date.fromisoformat(birthdate).year
    except ValueError:
        return None
