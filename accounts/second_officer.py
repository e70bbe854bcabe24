"""Requests of one officer that another confirms: what both kinds of them have in common.

Of each matter of an account one request is open at a time, which a unique index of the table decides,
however many officers ask at once.
"""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    String,
    Table,
    delete,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.vault import Vault, purpose_and_context

Request = TypeVar("Request")


def request_table(name: str, matter: Column[Any], sealed: Column[Any]) -> Table:
    """Return the table of a kind of requests: what is asked about, what was written under seal, who
    asked, and who answered.
    """
    table = Table(
        name,
        metadata,
        Column("id", String(32), primary_key=True),
        Column("account_id", String(32), ForeignKey("account.id"), nullable=False),
        matter,
        sealed,
        Column("asked_by", String(32), ForeignKey("officer.id"), nullable=False),
        Column("asked_at", UTCDateTime, nullable=False),
        Column("answer", String(16)),
        Column("answered_by", String(32), ForeignKey("officer.id")),
        Column("answered_at", UTCDateTime),
    )
    Index(
        f"uq_{name}_open",
        table.c.account_id,
        matter,
        unique=True,
        sqlite_where=table.c.answer.is_(None),
        postgresql_where=table.c.answer.is_(None),
    )
    return table


class SecondOfficer(ABC, Generic[Request]):
    """All requests of one kind."""

    matter: ClassVar[Column[Any]]
    sealed: ClassVar[Column[Any]]

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault
        self._table = self.matter.table
        purpose = purpose_and_context(self.sealed.info)
        assert purpose is not None  # noqa: S101 - the column declares it
        self._purpose = purpose[0]

    def open(self) -> list[Request]:
        """Return what waits for a second officer, oldest first."""
        return self._open()

    def open_of(self, account_id: str) -> list[Request]:
        """Return those of one account."""
        return self._open(self._table.c.account_id == account_id)

    def find(self, request_id: str) -> Request | None:
        """Return a request that is still open."""
        found = self._open(self._table.c.id == request_id)
        return found[0] if found else None

    def answer(self, request_id: str, officer_id: str, *, confirms: bool) -> bool:
        """Answer as the second officer; False when it was answered before or is her own."""
        table = self._table
        answered = self._db.execute(
            update(table)
            .where(
                table.c.id == request_id,
                table.c.answer.is_(None),
                table.c.asked_by != officer_id,
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
            delete(self._table).where(self._table.c.answered_at < before)
        ).rowcount

    def _ask(self, account_id: str, matter: str, written: bytes, officer_id: str) -> bool:
        """Ask for a second officer; False while another request about the matter is open."""
        now = self._clock()
        request_id = new_id(now, self._chance)
        dialect = postgresql if self._db.dialect.name == "postgresql" else sqlite
        asked = self._db.execute(
            dialect.insert(self._table)
            .values(
                {
                    "id": request_id,
                    "account_id": account_id,
                    self.matter.name: matter,
                    self.sealed.name: self._vault.seal(self._purpose, written, context=request_id),
                    "asked_by": officer_id,
                    "asked_at": now,
                }
            )
            .on_conflict_do_nothing()
            .returning(self._table.c.id)
        ).first()
        return asked is not None

    def _open(self, *conditions: ColumnElement[bool]) -> list[Request]:
        rows = self._db.execute(
            select(self._table)
            .where(self._table.c.answer.is_(None), *conditions)
            .order_by(self._table.c.asked_at, self._table.c.id)
        ).mappings()
        return [
            self._request(
                row, self._vault.open(self._purpose, row[self.sealed.name], context=row["id"])
            )
            for row in rows
        ]

    @abstractmethod
    def _request(self, row: Any, written: bytes) -> Request:
        """Return the request of a row and what was written under seal."""
