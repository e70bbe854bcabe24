"""The machine-readable zone of a passport (ICAO Doc 9303 part 4, TD3), with its check digits."""

import unicodedata

_WEIGHTS = (7, 3, 1)
_LINE = 44


def check_digit(text: str) -> str:
    """Return the check digit of a field (Doc 9303 part 3 §4.9)."""
    return str(sum(_value(sign) * _WEIGHTS[i % 3] for i, sign in enumerate(text)) % 10)


def td3(
    *,
    country: str,
    surname: str,
    given_names: str,
    number: str,
    birth: str,
    sex: str,
    expiry: str,
) -> tuple[str, str]:
    """Return both lines; ``birth`` and ``expiry`` are YYMMDD, ``sex`` is M or F."""
    names = f"P<{country}{_latin(surname)}<<{_latin(given_names)}"
    document = number.ljust(9, "<")
    checked = f"{document}{check_digit(document)}"
    dates = f"{birth}{check_digit(birth)}", f"{expiry}{check_digit(expiry)}"
    optional = "<" * 14
    composite = check_digit(f"{checked}{dates[0]}{dates[1]}{optional}<")
    second = f"{checked}{country}{dates[0]}{sex}{dates[1]}{optional}<{composite}"
    return names[:_LINE].ljust(_LINE, "<"), second


def _value(sign: str) -> int:
    return 0 if sign == "<" else int(sign, 36)


def _latin(name: str) -> str:
    plain = unicodedata.normalize("NFD", name.upper()).encode("ascii", "ignore").decode()
    return "".join(sign if sign.isalpha() else "<" for sign in plain)
