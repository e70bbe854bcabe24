"""What follows a withdrawal at the agency: it is told, confirms, and has to have stopped by a legal day.

Here the withdrawal itself has taken effect already; this follows what the agency does with what it
holds (Decree 356/2025/ND-CP Art. 5).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Select,
    String,
    Table,
    func,
    insert,
    select,
    update,
)

from accounts.schema import Clock, UTCDateTime, metadata
from consent.deadlines import WITHDRAWAL
from consent.decisions import Consent

withdrawal = Table(
    "withdrawal",
    metadata,
    Column("consent_id", String(32), ForeignKey("consent.id"), primary_key=True),
    Column("client_id", String(255), nullable=False),
    Column("made_at", UTCDateTime, nullable=False),
    # The first moment by which stopping is too late.
    Column("stop_by", UTCDateTime, nullable=False),
    Column("told_at", UTCDateTime),
    Column("confirmed_at", UTCDateTime),
    # When the person was told that the agency is late.
    Column("late_told_at", UTCDateTime),
)
Index(
    "ix_withdrawal_unconfirmed",
    withdrawal.c.client_id,
    withdrawal.c.stop_by,
    sqlite_where=withdrawal.c.confirmed_at.is_(None),
    postgresql_where=withdrawal.c.confirmed_at.is_(None),
)
_MOST = 500


@dataclass(frozen=True)
class Withdrawal:
    """One withdrawal and how far the agency has followed it."""

    consent_id: str
    client_id: str
    made_at: datetime
    stop_by: datetime
    told_at: datetime | None
    confirmed_at: datetime | None

    def is_late(self, now: datetime) -> bool:
        """True when the agency has not confirmed by the day by which it has to have stopped."""
        return (self.confirmed_at or now) >= self.stop_by


class Withdrawals:
    """All withdrawals."""

    def __init__(self, db: Connection, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def follow(self, ended: Consent) -> None:
        """Begin to follow a withdrawal that was just made."""
        now = self._clock()
        self._db.execute(
            insert(withdrawal).values(
                consent_id=ended.id,
                client_id=ended.client_id,
                made_at=now,
                stop_by=WITHDRAWAL.answer.ends(now),
            )
        )

    def note_told(self, consent_ids: Iterable[str]) -> None:
        """Note that the agency knows of them; when it first did stays."""
        self._db.execute(
            update(withdrawal)
            .where(withdrawal.c.consent_id.in_(list(consent_ids)), withdrawal.c.told_at.is_(None))
            .values(told_at=self._clock())
        )

    def confirm(self, consent_id: str, client_id: str) -> bool:
        """Take the agency's word that it has stopped; False when it gave it before, or never had to."""
        now = self._clock()
        mine = (
            withdrawal.c.consent_id == consent_id,
            withdrawal.c.client_id == client_id,
            withdrawal.c.confirmed_at.is_(None),
        )
        confirmed = self._db.execute(update(withdrawal).where(*mine).values(confirmed_at=now))
        if confirmed.rowcount == 1:
            self.note_told([consent_id])
        return confirmed.rowcount == 1

    def unconfirmed_by(self, client_id: str) -> list[Withdrawal]:
        """Return what an agency has not confirmed, the most urgent first."""
        rows = self._db.execute(
            select(withdrawal)
            .where(withdrawal.c.client_id == client_id, withdrawal.c.confirmed_at.is_(None))
            .order_by(withdrawal.c.stop_by, withdrawal.c.consent_id)
            .limit(_MOST)
        )
        return [_withdrawal(row) for row in rows]

    def has_untold(self) -> bool:
        """True when an agency is late and the person was not told yet."""
        return self._db.execute(self._untold(1)).first() is not None

    def take_late(self, most: int) -> list[Withdrawal]:
        """Return so many that are late and of which nobody was told, and note that they are told."""
        now = self._clock()
        found = [_withdrawal(row) for row in self._db.execute(self._untold(most))]
        return [
            one
            for one in found
            if self._db.execute(
                update(withdrawal)
                .where(
                    withdrawal.c.consent_id == one.consent_id,
                    withdrawal.c.late_told_at.is_(None),
                    withdrawal.c.confirmed_at.is_(None),
                )
                .values(late_told_at=now)
            ).rowcount
        ]

    def _untold(self, most: int) -> Select[Any]:
        return (
            select(withdrawal)
            .where(
                withdrawal.c.confirmed_at.is_(None),
                withdrawal.c.stop_by <= self._clock(),
                withdrawal.c.late_told_at.is_(None),
            )
            .limit(most)
        )

    def late_by_agency(self) -> dict[str, int]:
        """Return how many withdrawals each agency has not confirmed though the legal day is over."""
        rows = self._db.execute(
            select(withdrawal.c.client_id, func.count().label("late"))
            .where(withdrawal.c.confirmed_at.is_(None), withdrawal.c.stop_by <= self._clock())
            .group_by(withdrawal.c.client_id)
        )
        return {row.client_id: row.late for row in rows}

    def of(self, consent_ids: Iterable[str]) -> dict[str, Withdrawal]:
        """Return the withdrawals of these consents, by consent."""
        rows = self._db.execute(
            select(withdrawal).where(withdrawal.c.consent_id.in_(list(consent_ids)))
        )
        return {row.consent_id: _withdrawal(row) for row in rows}


def _withdrawal(row: Any) -> Withdrawal:
    return Withdrawal(
        row.consent_id, row.client_id, row.made_at, row.stop_by, row.told_at, row.confirmed_at
    )
