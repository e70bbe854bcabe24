"""Changing a person's contact at the desk takes two officers: one asks, another confirms.

Whoever controls e-mail address and phone number receives what an account is warned by, so no single
officer moves them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    delete,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.vault import Vault, sealed_as

contact_request = Table(
    "contact_request",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("account.id"), nullable=False),
    Column("claim", String(16), nullable=False),
    Column("sealed", LargeBinary, nullable=False, info=sealed_as("contact-request", "id")),
    Column("asked_by", String(32), ForeignKey("officer.id"), nullable=False),
    Column("asked_at", UTCDateTime, nullable=False),
    Column("answer", String(16)),
    Column("answered_by", String(32), ForeignKey("officer.id")),
    Column("answered_at", UTCDateTime),
)
Index(
    "uq_contact_request_open",
    contact_request.c.account_id,
    contact_request.c.claim,
    unique=True,
    sqlite_where=contact_request.c.answer.is_(None),
    postgresql_where=contact_request.c.answer.is_(None),
)


@dataclass(frozen=True)
class ContactRequest:
    """What one officer asked another to confirm: the claim's new value (empty removes it), and why."""

    id: str
    account_id: str
    claim: str
    value: str
    ground: str
    asked_by: str
    asked_at: datetime


class ContactRequests:
    """All requests to change a contact."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault

    def ask(self, account_id: str, claim: str, value: str, ground: str, officer_id: str) -> bool:
        """Ask for a second officer; False while another request for this claim is open."""
        now = self._clock()
        request_id = new_id(now, self._chance)
        document = orjson.dumps({"value": value, "ground": ground})
        dialect = postgresql if self._db.dialect.name == "postgresql" else sqlite
        asked = self._db.execute(
            dialect.insert(contact_request)
            .values(
                id=request_id,
                account_id=account_id,
                claim=claim,
                sealed=self._vault.seal("contact-request", document, context=request_id),
                asked_by=officer_id,
                asked_at=now,
            )
            .on_conflict_do_nothing()
            .returning(contact_request.c.id)
        ).first()
        return asked is not None

    def open(self) -> list[ContactRequest]:
        """Return what waits for a second officer, oldest first."""
        return self._list()

    def open_of(self, account_id: str) -> list[ContactRequest]:
        """Return those of one account."""
        return self._list(contact_request.c.account_id == account_id)

    def find(self, request_id: str) -> ContactRequest | None:
        """Return a request that is still open."""
        found = self._list(contact_request.c.id == request_id)
        return found[0] if found else None

    def answer(self, request_id: str, officer_id: str, *, confirms: bool) -> bool:
        """Answer as the second officer; False when it was answered before or is her own."""
        answered = self._db.execute(
            update(contact_request)
            .where(
                contact_request.c.id == request_id,
                contact_request.c.answer.is_(None),
                contact_request.c.asked_by != officer_id,
            )
            .values(
                answer="confirmed" if confirms else "refused",
                answered_by=officer_id,
                answered_at=self._clock(),
            )
        ).rowcount
        return answered == 1

    def purge(self, before: datetime) -> int:
        """Remove those that were answered before the moment; return how many."""
        return self._db.execute(
            delete(contact_request).where(contact_request.c.answered_at < before)
        ).rowcount

    def _list(self, *conditions: ColumnElement[bool]) -> list[ContactRequest]:
        rows = self._db.execute(
            select(contact_request)
            .where(contact_request.c.answer.is_(None), *conditions)
            .order_by(contact_request.c.asked_at, contact_request.c.id)
        )
        return [self._request(row) for row in rows]

    def _request(self, row: Any) -> ContactRequest:
        document = orjson.loads(self._vault.open("contact-request", row.sealed, context=row.id))
        return ContactRequest(
            row.id,
            row.account_id,
            row.claim,
            document["value"],
            document["ground"],
            row.asked_by,
            row.asked_at,
        )
