"""The values held of a subject with their source and age; what each claim is, says the dictionary.

The dictionary's names are here too, for everybody who works with both.
"""

import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, cast

import orjson
from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    insert,
    select,
    update,
)

from accounts import legal_clock
from accounts.dictionary import (
    ALLOWED,
    CATALOGUE,
    DERIVED,
    DICTIONARY,
    EDITABLE,
    IMPLIED,
    LAW_LISTED,
    ORGANISATION_CLAIMS,
    SCOPES,
    SENSITIVE,
    Attribute,
    Shape,
    Source,
    age_in,
)
from accounts.schema import Clock, UTCDateTime, metadata
from accounts.vault import Vault, sealed_as

__all__ = [
    "ALLOWED",
    "CATALOGUE",
    "DERIVED",
    "DICTIONARY",
    "EDITABLE",
    "IMPLIED",
    "LAW_LISTED",
    "ORGANISATION_CLAIMS",
    "SCOPES",
    "SENSITIVE",
    "Attribute",
    "Held",
    "HeldAttributes",
    "Shape",
    "Source",
    "Value",
    "best_value",
    "computed_value",
    "held_attributes",
    "is_of_age",
]

Value = Any
"""A JSON value: what a claim carries on the wire."""

_OF_THIRD_PERSONS = ("name", "relation")


held_attributes = Table(
    "held_attributes",
    metadata,
    Column("subject_id", String(32), ForeignKey("subject.id"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False, info=sealed_as("held-attributes", "subject_id")),
    Column("updated_at", UTCDateTime, nullable=False),
)


class Held(NamedTuple):
    """The values one source stated of a subject, and when.

    ``asked`` are the claims it was asked for then: what is among them and not in ``values`` it does
    not know, what is not among them nobody has asked it yet.
    """

    source: Source
    as_of: datetime
    values: dict[str, Value]
    asked: frozenset[str] = frozenset()


_SOURCES = {source.value: source for source in Source}


class HeldAttributes:
    """What is held of each subject, sealed as one document a subject."""

    def __init__(self, db: Connection, clock: Clock, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._vault = vault
        self._read: dict[str, bytes | None] = {}

    def adopt(self, subject_id: str, sealed: bytes | None) -> None:
        """Take a sealed document that was read in this transaction together with other rows."""
        self._read[subject_id] = sealed

    def of_subject(self, subject_id: str) -> dict[Source, Held]:
        """Return everything held, by source."""
        if subject_id not in self._read:
            self._read[subject_id] = self._db.execute(
                select(held_attributes.c.sealed).where(held_attributes.c.subject_id == subject_id)
            ).scalar()
        sealed = self._read[subject_id]
        return {} if sealed is None else self._opened(subject_id, sealed)

    def forget(self, subject_id: str, source: Source) -> None:
        """Drop what a source stated, before its corrected word is asked for."""
        if source in self.of_subject(subject_id):
            self.hold(subject_id, source, {})

    def _opened(self, subject_id: str, sealed: bytes) -> dict[Source, Held]:
        plain = self._vault.open("held-attributes", sealed, context=subject_id)
        document = cast("dict[str, dict[str, Any]]", orjson.loads(plain))
        return {
            (source := _SOURCES[name]): Held(
                source,
                datetime.fromtimestamp(part["as_of"], UTC),
                part["values"],
                frozenset(part.get("asked", ())),
            )
            for name, part in document.items()
        }

    def hold(
        self,
        subject_id: str,
        source: Source,
        values: dict[str, Value],
        *,
        asked: frozenset[str] = frozenset(),
    ) -> None:
        """Replace what is held from one source.

        Names are kept composed (Unicode NFC); of third persons nothing is kept but name and relation.
        """
        now = self._clock()
        held = self.of_subject(subject_id)
        known = bool(held)
        kept = {claim: _minimised(claim, _composed(value)) for claim, value in values.items()}
        held[source] = Held(source, now, kept, asked)
        sealed = sealed_document(self._vault, subject_id, held.values())
        self._read[subject_id] = sealed
        if known:
            self._db.execute(
                update(held_attributes)
                .where(held_attributes.c.subject_id == subject_id)
                .values(sealed=sealed, updated_at=now)
            )
        else:
            self._db.execute(
                insert(held_attributes).values(subject_id=subject_id, sealed=sealed, updated_at=now)
            )


def sealed_document(vault: Vault, subject_id: str, parts: Iterable[Held]) -> bytes:
    """Return what is held of a subject, source by source, as it is stored."""
    document = {
        part.source.value: {
            "as_of": int(part.as_of.timestamp()),
            "values": part.values,
            **({"asked": sorted(part.asked)} if part.asked else {}),
        }
        for part in parts
    }
    return vault.seal("held-attributes", orjson.dumps(document), context=subject_id)


def best_value(held: dict[Source, Held], claim: str) -> Value | None:
    """Return the claim's value from the best source that states it, or None."""
    row = DICTIONARY[claim]
    for source in row.sources:
        part = held.get(source)
        if part is not None and (value := part.values.get(row.stated_as)) is not None:
            return value
    return None


def is_of_age(years: int, birthdate: Value, today: date) -> bool | None:
    """Return whether somebody is so many years old; None where the date does not tell.

    Of some people only the year of birth is known; then the year in which she reaches the age is the
    one in which nothing can be said.
    """
    text = str(birthdate)
    if len(text) == len("YYYY") and text.isdigit():
        reached = int(text) + years
        return None if reached == today.year else reached < today.year
    try:
        return legal_clock.age(date.fromisoformat(text), today) >= years
    except ValueError:
        return None


def computed_value(held: dict[Source, Held], claim: str, today: date) -> Value | None:
    """Return the value of a claim that is computed of another one; None where nothing can be said."""
    years, value = age_in(claim), best_value(held, claim)
    return None if years is None or value is None else is_of_age(years, value, today)


def _minimised(claim: str, value: Value) -> Value:
    """Leave of other people their name and relation only."""
    row = DICTIONARY.get(claim)
    if row is None or not row.third_persons:
        return value
    people = value if isinstance(value, list) else [value]
    return [
        {member: one[member] for member in _OF_THIRD_PERSONS if one.get(member)}
        for one in people
        if isinstance(one, dict)
    ]


def _composed(value: Value) -> Value:
    """Return the value with every text in Unicode's composed form (NFC)."""
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [_composed(item) for item in value]
    if isinstance(value, dict):
        return {name: _composed(inner) for name, inner in value.items()}
    return value
