"""Officers: people with an account whom their office lets decide on other people's accounts, and
inspectors of the data-protection authority, who watch and decide nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Connection, ForeignKey, Index, String, Table, insert, select, update

from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id


class Role(StrEnum):
    """What an office is for. Nobody has two at once, so that nobody watches her own work."""

    DESK = "desk"
    INSPECTOR = "inspector"


officer = Table(
    "officer",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("subject_id", String(32), ForeignKey("subject.id"), nullable=False),
    Column("office", String(200), nullable=False),
    Column("since", UTCDateTime, nullable=False),
    Column("ended_at", UTCDateTime),
    Column("role", String(16), nullable=False, server_default=Role.DESK.value),
)
Index(
    "uq_officer_serving",
    officer.c.subject_id,
    unique=True,
    sqlite_where=officer.c.ended_at.is_(None),
    postgresql_where=officer.c.ended_at.is_(None),
)


@dataclass(frozen=True)
class Officer:
    """A person in office. Citizens see ``office`` and ``sign``, never who she is."""

    id: str
    subject_id: str
    office: str
    since: datetime
    ended_at: datetime | None
    role: Role

    @property
    def sign(self) -> str:
        """A short sign by which a complaint can mean this officer: the same at every look."""
        return self.id[-6:].upper()


class Officers:
    """All officers, past ones included."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance

    def appoint(self, subject_id: str, office: str, role: Role = Role.DESK) -> Officer:
        """Put the person into office; a new office ends the one she had."""
        self.dismiss(subject_id)
        now = self._clock()
        officer_id = new_id(now, self._chance)
        self._db.execute(
            insert(officer).values(
                id=officer_id,
                subject_id=subject_id,
                office=office[:200],
                since=now,
                role=role.value,
            )
        )
        return Officer(officer_id, subject_id, office[:200], now, None, role)

    def dismiss(self, subject_id: str) -> bool:
        """End the person's office at once; False when she had none."""
        return (
            self._db.execute(
                update(officer)
                .where(officer.c.subject_id == subject_id, officer.c.ended_at.is_(None))
                .values(ended_at=self._clock())
            ).rowcount
            == 1
        )

    def serving(self, subject_id: str) -> Officer | None:
        """Return the person as an officer, if she is in office."""
        row = self._db.execute(
            select(officer).where(officer.c.subject_id == subject_id, officer.c.ended_at.is_(None))
        ).first()
        return None if row is None else _officer(row)

    def find(self, officer_id: str) -> Officer | None:
        """Return the officer with this id, in office or not."""
        row = self._db.execute(select(officer).where(officer.c.id == officer_id)).first()
        return None if row is None else _officer(row)

    def all(self) -> list[Officer]:
        """Return those in office."""
        rows = self._db.execute(
            select(officer)
            .where(officer.c.ended_at.is_(None))
            .order_by(officer.c.since, officer.c.id)
        )
        return [_officer(row) for row in rows]


def _officer(row: Any) -> Officer:
    return Officer(row.id, row.subject_id, row.office, row.since, row.ended_at, Role(row.role))
