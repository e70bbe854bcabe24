"""What every register looks like to the rest of the system.

A query names the person the way Decree 70/2024 Art. 10 wants it, full name, birth date and number,
and then only the fields wanted. No register is asked without the id of the use entry that records
the asking.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from accounts.subject import IdentifierType


@dataclass(frozen=True)
class Query:
    """Whom to look up, and which attributes are wanted.

    ``birthdate`` is None for organisations, whose name and number suffice.
    """

    identifier_type: IdentifierType
    identifier: str
    name: str
    birthdate: str | None
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """What the register states: attributes by claim name, as of a moment."""

    register: str
    values: dict[str, Any]
    as_of: datetime


@dataclass(frozen=True)
class NotFound:
    """The register knows nobody by this name, birth date and number."""

    register: str


@dataclass(frozen=True)
class Unavailable:
    """The register gave no usable answer; nothing may be concluded from it."""

    register: str
    reason: str


Answer = Record | NotFound | Unavailable


class Register(Protocol):
    """One authoritative source of attributes."""

    @property
    def name(self) -> str:
        """The register's name: a value of ``accounts.attributes.Source``."""

    def look_up(self, query: Query, entry: str, now: datetime) -> Answer:
        """Answer the query; ``entry`` is the id of the use entry that records it."""
