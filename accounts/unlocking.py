"""Unlocking after an authority's order takes two officers: one asks, another confirms."""

from dataclasses import dataclass
from datetime import datetime

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

from accounts.account import LockReason
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.vault import Vault, sealed_as

unlock_request = Table(
    "unlock_request",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("account.id"), nullable=False),
    Column("reason", String(24), nullable=False),
    Column("ground", LargeBinary, nullable=False, info=sealed_as("unlock-request", "id")),
    Column("asked_by", String(32), ForeignKey("officer.id"), nullable=False),
    Column("asked_at", UTCDateTime, nullable=False),
    Column("answer", String(16)),
    Column("answered_by", String(32), ForeignKey("officer.id")),
    Column("answered_at", UTCDateTime),
)
Index(
    "uq_unlock_request_open",
    unlock_request.c.account_id,
    unlock_request.c.reason,
    unique=True,
    sqlite_where=unlock_request.c.answer.is_(None),
    postgresql_where=unlock_request.c.answer.is_(None),
)


@dataclass(frozen=True)
class UnlockRequest:
    """What one officer asked another to confirm."""

    id: str
    account_id: str
    reason: LockReason
    ground: str
    asked_by: str
    asked_at: datetime


class UnlockRequests:
    """All requests to unlock."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault

    def ask(self, account_id: str, reason: LockReason, ground: str, officer_id: str) -> None:
        """Ask for a second officer; while a request is open, another changes nothing."""
        if any(one.reason is reason for one in self.open_of(account_id)):
            return
        now = self._clock()
        request_id = new_id(now, self._chance)
        self._db.execute(
            insert(unlock_request).values(
                id=request_id,
                account_id=account_id,
                reason=reason.value,
                ground=self._vault.seal("unlock-request", ground.encode(), context=request_id),
                asked_by=officer_id,
                asked_at=now,
            )
        )

    def open(self) -> list[UnlockRequest]:
        """Return what waits for a second officer, oldest first."""
        rows = self._db.execute(
            select(unlock_request)
            .where(unlock_request.c.answer.is_(None))
            .order_by(unlock_request.c.asked_at)
        )
        return [
            UnlockRequest(
                row.id,
                row.account_id,
                LockReason(row.reason),
                self._vault.open("unlock-request", row.ground, context=row.id).decode(),
                row.asked_by,
                row.asked_at,
            )
            for row in rows
        ]

    def open_of(self, account_id: str) -> list[UnlockRequest]:
        """Return those of one account."""
        return [one for one in self.open() if one.account_id == account_id]

    def answer(self, request_id: str, officer_id: str, *, confirms: bool) -> bool:
        """Answer as the second officer; False when it was answered before or is her own."""
        answered = self._db.execute(
            update(unlock_request)
            .where(
                unlock_request.c.id == request_id,
                unlock_request.c.answer.is_(None),
                unlock_request.c.asked_by != officer_id,
            )
            .values(
                answer="confirmed" if confirms else "refused",
                answered_by=officer_id,
                answered_at=self._clock(),
            )
        ).rowcount
        return answered == 1
