"""How far each register's feed was read, and the latest word that was applied for each subject.

Events may come twice, late or out of order. What decides is the register's own sequence: for each
subject and topic only a later word than the last is news. A poll begins a little before the last
sequence seen, so that an event which became visible late is still met.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    PrimaryKeyConstraint,
    String,
    Table,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.schema import UTCDateTime, metadata
from connectors.protocol import EventKind

OVERLAP = 100
"""So many sequence numbers are asked for again at each poll."""

register_cursor = Table(
    "register_cursor",
    metadata,
    Column("register", String(24), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("polled_at", UTCDateTime),
    Column("not_available_since", UTCDateTime),
)

register_word = Table(
    "register_word",
    metadata,
    Column("register", String(24), nullable=False),
    Column("subject_id", String(32), ForeignKey("subject.id"), nullable=False),
    Column("topic", String(24), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("at", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("register", "subject_id", "topic"),
)

TOPICS = {
    EventKind.DEATH: "life",
    EventKind.NUMBER_CHANGED: "number",
    EventKind.CARD_EXPIRED: "card",
    EventKind.CARD_WITHDRAWN: "card",
    EventKind.CARD_ISSUED: "card",
    EventKind.RESIDENCE_ENDED: "residence",
    EventKind.RESIDENCE_EXTENDED: "residence",
    EventKind.COMPANY_DISSOLVED: "company",
    EventKind.REPRESENTATIVES_CHANGED: "representatives",
}
"""Kinds of one topic replace one another."""


@dataclass(frozen=True)
class Cursor:
    """Where a feed stands: the highest sequence seen, and since when it has not answered."""

    register: str
    sequence: int
    polled_at: datetime | None
    not_available_since: datetime | None


class Cursors:
    """The feeds' standing; safe for any number of servers."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    def all(self) -> list[Cursor]:
        """Return every feed that was ever polled."""
        rows = self._db.execute(select(register_cursor).order_by(register_cursor.c.register))
        return [
            Cursor(row.register, row.sequence, row.polled_at, row.not_available_since)
            for row in rows
        ]

    def claim(self, register: str, now: datetime, interval: timedelta) -> int | None:
        """Take a register's turn: return the sequence to ask after, or None when another server
        polled it within the interval. One UPDATE decides.
        """
        self._insert(
            register_cursor,
            {"register": register, "sequence": 0, "polled_at": None, "not_available_since": None},
        )
        columns = register_cursor.c
        taken = self._db.execute(
            update(register_cursor)
            .where(
                columns.register == register,
                columns.polled_at.is_(None) | (columns.polled_at <= now - interval),
            )
            .values(polled_at=now)
        ).rowcount
        if taken != 1:
            return None
        seen = self._db.execute(
            select(columns.sequence).where(columns.register == register)
        ).scalar_one()
        return max(int(seen) - OVERLAP, 0)

    def advance(self, register: str, sequence: int) -> None:
        """Note that the register answered, up to the sequence; the cursor never goes back."""
        columns = register_cursor.c
        self._db.execute(
            update(register_cursor)
            .where(columns.register == register, columns.sequence < sequence)
            .values(sequence=sequence)
        )
        self._db.execute(
            update(register_cursor)
            .where(columns.register == register, columns.not_available_since.is_not(None))
            .values(not_available_since=None)
        )

    def failed(self, register: str, since: datetime) -> None:
        """Note that the register did not answer; the first such moment is kept."""
        columns = register_cursor.c
        self._db.execute(
            update(register_cursor)
            .where(columns.register == register, columns.not_available_since.is_(None))
            .values(not_available_since=since)
        )

    def is_news(
        self, register: str, subject_id: str, kind: EventKind, sequence: int, at: datetime
    ) -> bool:
        """True, once, for a later word on the subject's matter than any before it.

        The row is locked until the transaction ends, so that of two servers one applies the event.
        """
        key = {"register": register, "subject_id": subject_id, "topic": TOPICS[kind]}
        if self._insert(register_word, {**key, "sequence": sequence, "at": at}):
            return True
        columns = register_word.c
        changed = self._db.execute(
            update(register_word)
            .where(
                columns.register == register,
                columns.subject_id == subject_id,
                columns.topic == TOPICS[kind],
                columns.sequence < sequence,
            )
            .values(sequence=sequence, at=at)
        )
        return changed.rowcount == 1

    def _insert(self, table: Table, values: dict[str, Any]) -> bool:
        dialect = postgresql if self._db.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(table).values(values).on_conflict_do_nothing()
        return self._db.execute(statement.returning(table.c.register)).first() is not None
