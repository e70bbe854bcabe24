"""Machine-readable zones with their check digits: identity cards (TD1) and passports (TD3).

ICAO Doc 9303 part 3 §4.9 (check digits), part 4 (TD3), part 5 (TD1).
"""

import re
import unicodedata
from dataclasses import dataclass

from accounts.errors import BadMrzError

_WEIGHTS = (7, 3, 1)
_SIGNS = re.compile(r"[0-9A-Z<]+", re.ASCII)
_SEXES = {"M": "male", "F": "female", "<": ""}


@dataclass(frozen=True)
class Zone:
    """What a zone states. Dates stay as they are written, YYMMDD: the century is not in them.

    ``optional`` is the optional data, on a Vietnamese identity card the personal number. ``names`` are
    in capitals without marks, surname first.
    """

    document: str
    country: str
    number: str
    birth: str
    sex: str
    expiry: str
    nationality: str
    optional: str
    names: str


def check_digit(text: str) -> str:
    """Return the check digit of a field."""
    return str(sum(_value(sign) * _WEIGHTS[i % 3] for i, sign in enumerate(text)) % 10)


def read(lines: list[str]) -> Zone:
    """Read a zone of three lines of 30 (TD1) or two of 44 (TD3).

    Raises:
        BadMrzError: it has another shape, a sign that no zone has, or a wrong check digit.
    """
    shape = [len(line) for line in lines]
    if not all(_SIGNS.fullmatch(line) for line in lines):
        raise BadMrzError("signs")
    if shape == [30, 30, 30]:
        return _card(*lines)
    if shape == [44, 44]:
        return _passport(*lines)
    raise BadMrzError("shape")


def latin(name: str) -> str:
    """Return a name as a zone writes it: capitals without marks, ``<`` for everything else."""
    plain = unicodedata.normalize("NFD", name.upper().replace("Đ", "D"))
    plain = plain.encode("ascii", "ignore").decode()
    return "".join(sign if sign.isalpha() else "<" for sign in plain)


def _card(first: str, second: str, third: str) -> Zone:
    _check(first[5:14], first[14], "number")
    _check(second[:6], second[6], "birth")
    _check(second[8:14], second[14], "expiry")
    _check(first[5:30] + second[:7] + second[8:15] + second[18:29], second[29], "composite")
    return Zone(
        document=first[:2].rstrip("<"),
        country=first[2:5].rstrip("<"),
        number=first[5:14].rstrip("<"),
        birth=second[:6],
        sex=_sex(second[7]),
        expiry=second[8:14],
        nationality=second[15:18].rstrip("<"),
        optional=first[15:30].rstrip("<"),
        names=_names(third),
    )


def _passport(first: str, second: str) -> Zone:
    _check(second[:9], second[9], "number")
    _check(second[13:19], second[19], "birth")
    _check(second[21:27], second[27], "expiry")
    _check(second[:10] + second[13:20] + second[21:43], second[43], "composite")
    return Zone(
        document=first[:2].rstrip("<"),
        country=first[2:5].rstrip("<"),
        number=second[:9].rstrip("<"),
        birth=second[13:19],
        sex=_sex(second[20]),
        expiry=second[21:27],
        nationality=second[10:13].rstrip("<"),
        optional=second[28:42].rstrip("<"),
        names=_names(first[5:]),
    )


def _check(field: str, digit: str, what: str) -> None:
    if check_digit(field) != digit:
        raise BadMrzError(what)


def _sex(sign: str) -> str:
    if sign not in _SEXES:
        raise BadMrzError("sex")
    return _SEXES[sign]


def _names(field: str) -> str:
    return " ".join(field.replace("<", " ").split())


def _value(sign: str) -> int:
    return 0 if sign == "<" else int(sign, 36)
