"""Recoveries: a person who lost her ways to sign in is on the way to new ones.

An account has at most one at a time (a partial unique index decides), and whoever finishes it does so
by one conditional UPDATE.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Connection, ForeignKey, Index, String, Table, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id


class Way(StrEnum):
    """What a recovery rests on."""

    TWO_WAYS = "two-ways"
    """Two ways to sign in that are left, and a waiting time."""
    CHIP = "chip"
    """A sign-in with the password, and the chip of the person's own identity card."""
    OFFICE = "office"
    """A code that an office gave to the person who was present."""


recovery = Table(
    "recovery",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("account.id"), nullable=False, index=True),
    Column("way", String(16), nullable=False),
    # The only browser session that may finish it; empty when any fitting sign-in may.
    Column("session_id", String(32)),
    Column("begun_at", UTCDateTime, nullable=False),
    Column("ready_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("ended_at", UTCDateTime),
    Column("outcome", String(16)),
)
Index(
    "uq_recovery_open",
    recovery.c.account_id,
    unique=True,
    sqlite_where=recovery.c.ended_at.is_(None),
    postgresql_where=recovery.c.ended_at.is_(None),
)


@dataclass(frozen=True)
class Recovery:
    """One that is under way."""

    id: str
    account_id: str
    way: Way
    session_id: str | None
    begun_at: datetime
    ready_at: datetime
    expires_at: datetime


class Recoveries:
    """All recoveries."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance

    def begin(
        self,
        account_id: str,
        way: Way,
        ready_at: datetime,
        expires_at: datetime,
        *,
        session_id: str | None = None,
    ) -> bool:
        """Begin one; False while another is under way."""
        now = self._clock()
        self._end(account_id, "expired", recovery.c.expires_at <= now)
        dialect = postgresql if self._db.dialect.name == "postgresql" else sqlite
        added = self._db.execute(
            dialect.insert(recovery)
            .values(
                id=new_id(now, self._chance),
                account_id=account_id,
                way=way.value,
                session_id=session_id,
                begun_at=now,
                ready_at=ready_at,
                expires_at=expires_at,
            )
            .on_conflict_do_nothing()
            .returning(recovery.c.id)
        ).first()
        return added is not None

    def open_of(self, account_id: str) -> Recovery | None:
        """Return the one that is under way."""
        row = self._db.execute(
            select(recovery).where(
                recovery.c.account_id == account_id,
                recovery.c.ended_at.is_(None),
                recovery.c.expires_at > self._clock(),
            )
        ).first()
        return None if row is None else _recovery(row)

    def finish(self, account_id: str, way: Way) -> bool:
        """End it as done; False when none of this way is ready, or somebody else ended it."""
        now = self._clock()
        return self._end(
            account_id,
            "done",
            recovery.c.way == way.value,
            recovery.c.ready_at <= now,
            recovery.c.expires_at > now,
        )

    def cancel(self, account_id: str, *ways: Way) -> bool:
        """End it undone; False when none of these ways is under way."""
        return self._end(
            account_id, "cancelled", recovery.c.way.in_([way.value for way in ways or Way])
        )

    def purge(self, before: datetime) -> int:
        """Remove those that ran out before the moment; return how many."""
        return self._db.execute(delete(recovery).where(recovery.c.expires_at <= before)).rowcount

    def _end(self, account_id: str, outcome: str, *which: Any) -> bool:
        return (
            self._db.execute(
                update(recovery)
                .where(recovery.c.account_id == account_id, recovery.c.ended_at.is_(None), *which)
                .values(ended_at=self._clock(), outcome=outcome)
            ).rowcount
            == 1
        )


def _recovery(row: Any) -> Recovery:
    return Recovery(
        id=row.id,
        account_id=row.account_id,
        way=Way(row.way),
        session_id=row.session_id,
        begun_at=row.begun_at,
        ready_at=row.ready_at,
        expires_at=row.expires_at,
    )
