"""How a register's fields become our attributes: each reader judges what it reads.

A reader raises ``ValueError`` for what no register may state, so that nothing half understood is
ever held.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from accounts import mrz
from accounts.errors import BadMrzError

Reader = Callable[[Any], Any]
_LONGEST_TEXT = 500
_LONGEST_IMAGE = 100_000
_SEXES = {"M": "male", "F": "female"}


@dataclass(frozen=True)
class Field:
    """A field on the wire, and how it is read."""

    name: str
    read: Reader


def text(value: Any) -> str:
    """Read a text of a reasonable length."""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TEXT:
        raise ValueError("not a text")
    return value


def day(value: Any) -> str:
    """Read a date, YYYY-MM-DD."""
    return date.fromisoformat(text(value)).isoformat()


def sex(value: Any) -> str:
    """Read a sex: M or F, in the words of OpenID Connect."""
    return _SEXES[text(value)] if value in _SEXES else _refuse()


def flag(value: Any) -> bool:
    """Read a yes or no."""
    if not isinstance(value, bool):
        raise ValueError("not a yes or no")
    return value


def one_of(*choices: str) -> Reader:
    """Read one of the choices."""

    def read(value: Any) -> str:
        return str(value) if value in choices else _refuse()

    return read


def texts(value: Any) -> list[str]:
    """Read a list of texts."""
    if not isinstance(value, list) or len(value) > 100:
        raise ValueError("not a list")
    return [text(item) for item in value]


def members(**fields: Reader) -> Reader:
    """Read an object with these members, each of which may be missing."""

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ValueError("not an object")
        return {
            name: reader(value[name])
            for name, reader in fields.items()
            if value.get(name) is not None
        }

    return read


def listed(reader: Reader) -> Reader:
    """Read a list, each item by the reader."""

    def read(value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) > 100:
            raise ValueError("not a list")
        return [reader(item) for item in value]

    return read


def image(value: Any) -> str:
    """Read an image as a data URL."""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_IMAGE:
        raise ValueError("not an image")
    if not value.startswith(("data:image/jpeg;base64,", "data:image/png;base64,")):
        raise ValueError("not an image")
    return value


def zone(value: Any) -> list[str]:
    """Read the lines of a machine-readable zone whose check digits are right."""
    lines = texts(value)
    try:
        mrz.read(lines)
    except BadMrzError as error:
        raise ValueError("not a machine-readable zone") from error
    return lines


_ADDRESS = members(line=text, commune=text, commune_code=text, province=text, province_code=text)


def address(value: Any) -> dict[str, str]:
    """Read an address into the shape of OpenID Connect Core §5.1.1.

    Since July 2025 an address is province, commune and line; there is no district.
    """
    parts = _ADDRESS(value)
    shown = [parts[name] for name in ("line", "commune", "province") if name in parts]
    told = {
        "formatted": ", ".join([*shown, "Việt Nam"]),
        "street_address": parts.get("line"),
        "locality": parts.get("commune"),
        "region": parts.get("province"),
        "country": "VN",
    }
    return {name: value for name, value in told.items() if value}


def _refuse() -> str:
    raise ValueError("not one of the choices")
