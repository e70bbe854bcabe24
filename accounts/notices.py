"""Notices: what a person is told about her account, on her own pages and at an address she gave.

A row is the notice and the order to deliver it in one: it is written in the transaction of what it
tells of. What it says is kept as facts; words are made of them where it is read, in the reader's
language.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from accounts import turns
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.vault import Vault, sealed_as

LONGEST_LIST = 200


class NoticeKind(StrEnum):
    """What is told."""

    CONTACT_CHANGED = "contact-changed"
    CONTACT_CHANGE_ASKED = "contact-change-asked"
    CONTACT_CHANGE_REFUSED = "contact-change-refused"
    DATA_COPIED = "data-copied"
    SIGN_IN_CHANGED = "sign-in-changed"
    SIGN_IN = "sign-in"
    NEW_PLACE = "new-place"
    """A known browser, at a place where nobody signed in lately."""
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    QR_APPROVED = "qr-approved"
    CASE_MOVED = "case-moved"
    UNSEALED = "unsealed"
    RECOVERY_BEGUN = "recovery-begun"
    RECOVERY_CANCELLED = "recovery-cancelled"
    RECOVERED = "recovered"
    FIRST_USE = "first-use"
    NEW_DATA = "new-data"
    UNUSUAL_USE = "unusual-use"
    WITHDRAWAL_MOVED = "withdrawal-moved"
    CONSENT_ENDS = "consent-ends"
    RECONFIRM = "reconfirm"
    DIGEST = "digest"


class By(StrEnum):
    """By which way a notice is to reach an address."""

    EMAIL = "email"
    TEXT_MESSAGE = "text-message"


person_notice = Table(
    "person_notice",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("subject_id", String(32), ForeignKey("subject.id"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("sealed", LargeBinary, nullable=False, info=sealed_as("person-notice", "id")),
    Column("made_at", UTCDateTime, nullable=False),
    Column("read_at", UTCDateTime),
    Column("deliver_by", String(16)),
    Column("delivered_at", UTCDateTime),
    # How often it was tried, and from when on it may be taken up; empty once it is given up.
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", UTCDateTime),
)
Index("ix_person_notice_subject_id_made_at", person_notice.c.subject_id, person_notice.c.made_at)
Index("ix_person_notice_made_at", person_notice.c.made_at)
Index(
    "ix_person_notice_due_at",
    person_notice.c.due_at,
    sqlite_where=person_notice.c.due_at.is_not(None),
    postgresql_where=person_notice.c.due_at.is_not(None),
)


@dataclass(frozen=True)
class Notice:
    """One notice. ``facts`` are what its words are made of; ``address`` is where it is to go."""

    id: str
    subject_id: str
    kind: NoticeKind
    facts: dict[str, str]
    made_at: datetime
    read_at: datetime | None
    by: By | None
    address: str
    attempts: int
    is_copy: bool


class Notices:
    """All notices."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault

    def tell(
        self,
        subject_id: str,
        kind: NoticeKind,
        facts: dict[str, str],
        *,
        by: By | None = None,
        address: str = "",
        is_copy: bool = False,
    ) -> None:
        """Tell the person, and let it be delivered to the address if there is one.

        A copy is for another address of hers: it is delivered, and not shown to her twice.
        """
        now = self._clock()
        notice_id = new_id(now, self._chance)
        document = orjson.dumps({"facts": facts, "address": address, "is_copy": is_copy})
        self._db.execute(
            insert(person_notice).values(
                id=notice_id,
                subject_id=subject_id,
                kind=kind.value,
                sealed=self._vault.seal("person-notice", document, context=notice_id),
                made_at=now,
                read_at=now if is_copy else None,
                deliver_by=by.value if by is not None and address else None,
                due_at=now if by is not None and address else None,
            )
        )

    def find(self, notice_id: str) -> Notice | None:
        """Return one notice."""
        row = self._db.execute(select(person_notice).where(person_notice.c.id == notice_id)).first()
        return None if row is None else self._notice(row)

    def of_subject(self, subject_id: str) -> list[Notice]:
        """Return the person's notices, newest first."""
        rows = self._db.execute(
            select(person_notice)
            .where(person_notice.c.subject_id == subject_id)
            .order_by(person_notice.c.made_at.desc(), person_notice.c.id.desc())
            .limit(LONGEST_LIST)
        )
        return [found for row in rows if not (found := self._notice(row)).is_copy]

    def count_unread(self, subject_id: str) -> int:
        """Return how many the person has not marked as read."""
        return self._db.execute(
            select(func.count())
            .select_from(person_notice)
            .where(person_notice.c.subject_id == subject_id, person_notice.c.read_at.is_(None))
        ).scalar_one()

    def mark_read(self, subject_id: str) -> int:
        """Mark all of the person's as read; return how many were not."""
        return self._db.execute(
            update(person_notice)
            .where(person_notice.c.subject_id == subject_id, person_notice.c.read_at.is_(None))
            .values(read_at=self._clock())
        ).rowcount

    def claim(self, ways: Iterable[By], now: datetime, until: datetime) -> Notice | None:
        """Return what is due to be delivered by one of the ways for the longest time, and keep it
        from others until the moment; None when there is nothing.
        """
        reached = person_notice.c.deliver_by.in_([way.value for way in ways])
        row = turns.take(self._db, person_notice, now, until, reached)
        return None if row is None else self._notice(row)

    def postpone(self, notice_id: str, until: datetime | None) -> None:
        """Note an attempt that failed; without a next moment it is given up."""
        self._db.execute(
            update(person_notice)
            .where(person_notice.c.id == notice_id)
            .values(attempts=person_notice.c.attempts + 1, due_at=until)
        )

    def mark_delivered(self, notice_id: str) -> None:
        """Note that it was handed over."""
        self._db.execute(
            update(person_notice)
            .where(person_notice.c.id == notice_id)
            .values(delivered_at=self._clock(), due_at=None, attempts=person_notice.c.attempts + 1)
        )

    def purge(self, before: datetime) -> int:
        """Remove what was made before the moment; return how many."""
        return self._db.execute(
            delete(person_notice).where(person_notice.c.made_at < before)
        ).rowcount

    def _notice(self, row: Any) -> Notice:
        document = orjson.loads(self._vault.open("person-notice", row.sealed, context=row.id))
        return Notice(
            id=row.id,
            subject_id=row.subject_id,
            kind=NoticeKind(row.kind),
            facts=document["facts"],
            made_at=row.made_at,
            read_at=row.read_at,
            by=By(row.deliver_by) if row.deliver_by else None,
            address=document["address"],
            attempts=row.attempts,
            is_copy=document.get("is_copy", False),
        )
