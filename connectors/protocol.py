"""What every register looks like to the rest of the system.

A query names the person the way Decree 70/2024 Art. 10 wants it, full name, birth date and number,
and then only the fields wanted. No register is asked without the use entry that records the asking,
nor answers without the receipt for it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from accounts.subject import IdentifierType


@dataclass(frozen=True)
class Query:
    """Whom to look up, and which attributes are wanted.

    ``birthdate`` is None for organisations, whose name and number suffice. ``user`` is the personal
    number of whoever made us ask, by default the person asked about; ``represented`` is the tax code
    of the organisation that he acts for. The register sees both.
    """

    identifier_type: IdentifierType
    identifier: str
    name: str
    birthdate: str | None
    attributes: tuple[str, ...]
    user: str = ""
    represented: str = ""


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
    """The register gave no usable answer; nothing may be concluded from it.

    ``since`` is the moment of the first failure after its last good answer.
    """

    register: str
    reason: str
    since: datetime | None = None


Answer = Record | NotFound | Unavailable


class Evidence(Protocol):
    """What a question rests on: a committed use entry, and the receipt for it (no receipt, no data)."""

    @property
    def entry(self) -> str:
        """The use entry's id."""

    def receipt(self, register: str, request: bytes) -> str:
        """Return the signed receipt that goes with this very request to the register."""


@dataclass(frozen=True)
class Answered:
    """What a register's own log says of one question that it answered.

    ``entry`` and ``commitment`` are those of the receipt under which it did; without one they are
    empty. ``at`` is the receipt's time, else the answer's.
    """

    sequence: int
    entry: str
    commitment: str
    at: datetime


class Register(Protocol):
    """One authoritative source of attributes."""

    @property
    def name(self) -> str:
        """The register's name: a value of ``accounts.attributes.Source``."""

    def look_up(self, query: Query, evidence: Evidence, now: datetime) -> Answer:
        """Answer the query; ``evidence`` is the use entry that records it."""


class EventKind(StrEnum):
    """What registers tell of. Kinds that are not here are passed over, and said to be."""

    DEATH = "death"
    NUMBER_CHANGED = "number-changed"
    """``detail.number`` is the new one."""
    CARD_EXPIRED = "card-expired"
    CARD_WITHDRAWN = "card-withdrawn"
    CARD_ISSUED = "card-issued"
    """A valid card in place of whatever was."""
    RESIDENCE_ENDED = "residence-ended"
    RESIDENCE_EXTENDED = "residence-extended"
    COMPANY_DISSOLVED = "company-dissolved"
    REPRESENTATIVES_CHANGED = "representatives-changed"
    """``detail.representatives`` are the personal numbers of all who represent now."""


@dataclass(frozen=True)
class Event:
    """News of one person or organisation. A higher ``sequence`` is the later word on a matter.

    ``number`` is what the register knows the subject by; ``detail`` says what is new, in the
    register's own terms, and holds nothing else of anybody.
    """

    sequence: int
    kind: str
    number: str
    at: datetime
    detail: dict[str, Any]


class Feed(Protocol):
    """A register that tells what changed, so that nobody has to ask about everybody."""

    @property
    def name(self) -> str:
        """The register's name."""

    def changes(self, after: int, limit: int) -> "tuple[Event, ...] | Unavailable":
        """Return at most ``limit`` events with a sequence above ``after``, lowest first."""
