"""The machine-readable zone of a passport (ICAO Doc 9303 part 4, TD3), with its check digits."""

from accounts.mrz import check_digit, latin

_LINE = 44


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
    names = f"P<{country}{latin(surname)}<<{latin(given_names)}"
    document = number.ljust(9, "<")
    checked = f"{document}{check_digit(document)}"
    dates = f"{birth}{check_digit(birth)}", f"{expiry}{check_digit(expiry)}"
    optional = "<" * 14
    composite = check_digit(f"{checked}{dates[0]}{dates[1]}{optional}<")
    second = f"{checked}{country}{dates[0]}{sex}{dates[1]}{optional}<{composite}"
    return names[:_LINE].ljust(_LINE, "<"), second
