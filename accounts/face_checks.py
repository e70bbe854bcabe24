"""Comparisons of a live face with the portrait of the identity-card register, as they were answered.

The picture is never kept, here or in any log: only that it was compared, when, under which use entry,
and what the service of the register said. A ticket is good for one comparison.
"""

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Column, Connection, ForeignKey, String, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from accounts.account import account
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id

LONGEST_ANSWER = timedelta(seconds=5)
"""No answer takes so long; one that never came holds up the next for no longer."""


class Verdict(StrEnum):
    """What the service says of one live picture."""

    MATCH = "match"
    """It is alive, and the face is that of the portrait."""
    NO_MATCH = "no-match"
    NOT_LIVE = "not-live"
    """A picture of a picture, a mask, a film: a presentation attack."""
    UNUSABLE = "unusable"
    """No face, several, or too dark to tell."""
    NO_PORTRAIT = "no-portrait"
    """The register holds none of this person."""


face_check = Table(
    "face_check",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("account.id"), nullable=False, index=True),
    Column("session_id", String(32), nullable=False),
    Column("ticket_hash", String(64), nullable=False, unique=True),
    # The entry that the person sees, written before the register was asked.
    Column("use_id", String(32), nullable=False),
    Column("asked_at", UTCDateTime, nullable=False, index=True),
    # Empty where no answer came.
    Column("verdict", String(16)),
    Column("reference", String(64)),
    Column("judged_at", UTCDateTime),
)


class FaceChecks:
    """All comparisons."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance

    def begin(self, account_id: str, session_id: str, ticket: str, use_id: str) -> str | None:
        """Note that a picture is about to be compared and return the check's id; None when the ticket
        was used before, whoever used it, or another picture of this account is being compared: many at
        once would not be counted in time.
        """
        now = self._clock()
        # Whoever comes second waits here for the first.
        self._db.execute(select(account.c.id).where(account.c.id == account_id).with_for_update())
        under_way = select(face_check.c.id).where(
            face_check.c.account_id == account_id,
            face_check.c.verdict.is_(None),
            face_check.c.asked_at > now - LONGEST_ANSWER,
        )
        if self._db.execute(under_way).first() is not None:
            return None
        check_id = new_id(now, self._chance)
        try:
            with self._db.begin_nested():
                self._db.execute(
                    insert(face_check).values(
                        id=check_id,
                        account_id=account_id,
                        session_id=session_id,
                        ticket_hash=_hash(ticket),
                        use_id=use_id,
                        asked_at=now,
                    )
                )
        except IntegrityError:
            return None
        return check_id

    def was_used(self, ticket: str) -> bool:
        """True when the ticket was good for a comparison already."""
        used = select(face_check.c.id).where(face_check.c.ticket_hash == _hash(ticket))
        return self._db.execute(used).first() is not None

    def conclude(self, check_id: str, verdict: Verdict, reference: str, at: datetime) -> None:
        """Keep what the service said, by its own reference and clock."""
        self._db.execute(
            update(face_check)
            .where(face_check.c.id == check_id)
            .values(verdict=verdict.value, reference=reference[:64], judged_at=at)
        )

    def purge(self, before: datetime) -> int:
        """Remove checks asked for before the moment; return how many."""
        return self._db.execute(delete(face_check).where(face_check.c.asked_at < before)).rowcount


def _hash(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
