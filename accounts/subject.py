"""Subjects, persons and organisations, and the identifiers by which they are known.

Identifiers are encrypted at rest and found by a blind index. They have a history: a personal number
can be replaced (Decree 70/2024 Art. 11), so nothing else in the system is keyed by one.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    insert,
    select,
    update,
)

from accounts.errors import BadIdentifierError, IdentifierTakenError
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.vault import Vault, sealed_as


class SubjectKind(StrEnum):
    """What a subject is."""

    PERSON = "person"
    ORGANISATION = "organisation"


class IdentifierType(StrEnum):
    """What an identifier is; the type is part of its blind index."""

    LOGIN = "login"
    PERSONAL_NUMBER = "personal-number"
    PASSPORT = "passport"
    PASSPORT_NUMBER = "passport-number"
    RESIDENCE_CARD = "residence-card"
    TAX_CODE = "tax-code"
    ORGANISATION_NUMBER = "organisation-number"
    """Made here for each organisation (Decree 69/2024 Art. 6.1)."""


subject = Table(
    "subject",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
)

identifier = Table(
    "identifier",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("subject_id", String(32), ForeignKey("subject.id"), nullable=False, index=True),
    Column("type", String(24), nullable=False),
    Column("sealed", LargeBinary, nullable=False, info=sealed_as("identifier", "subject_id")),
    Column("blind_index", LargeBinary, nullable=False, index=True),
    Column("source", String(32), nullable=False),
    Column("valid_from", UTCDateTime, nullable=False),
    Column("valid_to", UTCDateTime),
)

# A passport number without its country may belong to several people; everything else is unique.
Index(
    "uq_identifier_current",
    identifier.c.type,
    identifier.c.blind_index,
    unique=True,
    sqlite_where=identifier.c.valid_to.is_(None)
    & (identifier.c.type != IdentifierType.PASSPORT_NUMBER.value),
    postgresql_where=identifier.c.valid_to.is_(None)
    & (identifier.c.type != IdentifierType.PASSPORT_NUMBER.value),
)

_SIGN_IN_TYPES = (
    IdentifierType.LOGIN,
    IdentifierType.PERSONAL_NUMBER,
    IdentifierType.PASSPORT,
    IdentifierType.PASSPORT_NUMBER,
    IdentifierType.RESIDENCE_CARD,
)
_TAX_CODE_WEIGHTS = (31, 29, 23, 19, 17, 13, 7, 5, 3)


@dataclass(frozen=True)
class Identifier:
    """One identifier of a subject, opened."""

    type: IdentifierType
    value: str
    source: str
    valid_from: datetime
    valid_to: datetime | None


def canonical(type_: IdentifierType, value: str) -> str:
    """Return the one spelling that is stored and searched: NFKC, no spaces, one case."""
    text = unicodedata.normalize("NFKC", value).strip()
    if type_ is IdentifierType.LOGIN:
        return text.casefold()
    return re.sub(r"[\s\-./]", "", text).upper()


def check_tax_code(code: str) -> None:
    """Check a tax code's length and check digit (10 digits, or 13 for a dependent unit).

    Raises:
        BadIdentifierError: the code cannot have been issued.
    """
    digits = canonical(IdentifierType.TAX_CODE, code)
    if not re.fullmatch(r"[0-9]{10}([0-9]{3})?", digits, re.ASCII):
        raise BadIdentifierError("a tax code has 10 or 13 digits")
    weighted = sum(w * int(d) for w, d in zip(_TAX_CODE_WEIGHTS, digits, strict=False))
    if 10 - weighted % 11 != int(digits[9]):
        raise BadIdentifierError("the tax code's check digit is wrong")


def check_organisation_number(number: str) -> None:
    """Check an organisation's number: 14 digits, the last a check digit (ISO/IEC 7064, MOD 11,10).

    Raises:
        BadIdentifierError: the number cannot have been given.
    """
    digits = canonical(IdentifierType.ORGANISATION_NUMBER, number)
    if not re.fullmatch(r"[0-9]{14}", digits, re.ASCII) or _check_digit(digits[:13]) != digits[13]:
        raise BadIdentifierError("an organisation's number has 14 digits with the right last one")


def _check_digit(digits: str) -> str:
    product = 10
    for digit in digits:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return str((11 - product) % 10)


class Subjects:
    """All subjects and their identifiers."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault

    def add(self, kind: SubjectKind) -> str:
        """Make a subject and return its id. An organisation gets its number with it."""
        now = self._clock()
        subject_id = new_id(now, self._chance)
        self._db.execute(insert(subject).values(id=subject_id, kind=kind.value, created_at=now))
        if kind is SubjectKind.ORGANISATION:
            drawn = f"{int.from_bytes(self._chance(8)) % 10**13:013}"
            number = drawn + _check_digit(drawn)
            self.identify(subject_id, IdentifierType.ORGANISATION_NUMBER, number, "provider")
        return subject_id

    def identify(self, subject_id: str, type_: IdentifierType, value: str, source: str) -> None:
        """Give a subject an identifier; the same one again changes nothing.

        A different value of the same type ends the old one's validity and keeps it as history: a
        personal number that was established anew (Decree 70/2024 Art. 11) changes nothing else.

        Raises:
            IdentifierTakenError: the identifier belongs to another subject.
        """
        text = canonical(type_, value)
        index = self._vault.blind_index(type_.value, text)
        owners = self._owners(type_, index)
        if subject_id in owners:
            return
        if owners and type_ is not IdentifierType.PASSPORT_NUMBER:
            raise IdentifierTakenError(type_.value)
        now = self._clock()
        self._db.execute(
            update(identifier)
            .where(
                identifier.c.subject_id == subject_id,
                identifier.c.type == type_.value,
                identifier.c.valid_to.is_(None),
            )
            .values(valid_to=now)
        )
        self._db.execute(
            insert(identifier).values(
                id=new_id(now, self._chance),
                subject_id=subject_id,
                type=type_.value,
                sealed=self._vault.seal("identifier", text.encode(), context=subject_id),
                blind_index=index,
                source=source,
                valid_from=now,
            )
        )

    def find(self, type_: IdentifierType, value: str) -> str | None:
        """Return the id of the subject that now bears this identifier, if any."""
        text = canonical(type_, value)
        owners = self._owners(type_, self._vault.blind_index(type_.value, text))
        return next(iter(owners)) if len(owners) == 1 else None

    def find_for_sign_in(self, text: str) -> str | None:
        """Return the one person meant by what was typed into the sign-in form, if exactly one.

        Login name, personal number, passport (with its country) and residence card are all tried; a
        passport number alone counts only while a single person bears it.
        """
        candidates = [
            self._vault.blind_index(type_.value, canonical(type_, text)) for type_ in _SIGN_IN_TYPES
        ]
        rows = self._db.execute(
            select(identifier.c.subject_id)
            .where(identifier.c.blind_index.in_(candidates), identifier.c.valid_to.is_(None))
            .distinct()
            .limit(2)
        ).scalars()
        found = list(rows)
        return str(found[0]) if len(found) == 1 else None

    def find_organisation(self, tax_code: str) -> str | None:
        """Return the organisation that bears this tax code, if any."""
        return self.find(IdentifierType.TAX_CODE, tax_code)

    def identifiers_of(self, subject_id: str) -> list[Identifier]:
        """Return every identifier of the subject, opened, in order; past ones before present ones."""
        rows = self._db.execute(
            select(identifier)
            .where(identifier.c.subject_id == subject_id)
            .order_by(identifier.c.valid_from, identifier.c.valid_to.is_(None))
        )
        return [
            Identifier(
                IdentifierType(row.type),
                self._vault.open("identifier", row.sealed, context=subject_id).decode(),
                row.source,
                row.valid_from,
                row.valid_to,
            )
            for row in rows
        ]

    def bears(self, subject_id: str, type_: IdentifierType) -> str | None:
        """Return the subject's present identifier of the type, opened."""
        known = self.identifiers_of(subject_id)
        return next((i.value for i in known if i.type is type_ and i.valid_to is None), None)

    def _owners(self, type_: IdentifierType, index: bytes) -> set[str]:
        rows = self._db.execute(
            select(identifier.c.subject_id).where(
                identifier.c.type == type_.value,
                identifier.c.blind_index == index,
                identifier.c.valid_to.is_(None),
            )
        )
        return set(rows.scalars())
