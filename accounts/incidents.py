"""Incidents: somebody said "this was not me". What was ended stays ended; what is paused waits.

One notice opens at most one incident, however often its link is followed: the unique column decides.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.account import HOLDER, Actor, ActorKind
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.vault import Vault, sealed_as

incident = Table(
    "incident",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("account.id"), nullable=False),
    # No foreign key: notices are kept for a year, incidents for as long as the account.
    Column("notice_id", String(32), nullable=False, unique=True),
    Column("about", String(32), nullable=False),
    Column("opened_at", UTCDateTime, nullable=False),
    Column("closed_at", UTCDateTime),
    Column("closed_by", String(16)),
    Column("officer_id", String(32)),
    # What an officer found, in her words: it may name people, so it is sealed.
    Column("finding", LargeBinary, info=sealed_as("incident", "id")),
)
Index("ix_incident_account_id_opened_at", incident.c.account_id, incident.c.opened_at)
Index(
    "ix_incident_open",
    incident.c.opened_at,
    sqlite_where=incident.c.closed_at.is_(None),
    postgresql_where=incident.c.closed_at.is_(None),
)


@dataclass(frozen=True)
class Incident:
    """One incident. ``about`` is the kind of notice that the person did not recognise."""

    id: str
    account_id: str
    about: str
    opened_at: datetime
    closed_at: datetime | None
    closed_by: ActorKind | None
    officer_id: str | None
    finding: str

    @property
    def number(self) -> str:
        """What the person names it by, at the desk and on the telephone."""
        return f"{self.id[-8:-4]}-{self.id[-4:]}".upper()


class Incidents:
    """All incidents."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault

    def open(self, account_id: str, notice_id: str, about: str) -> tuple[Incident, bool]:
        """Open the incident of a notice; False with the one that the notice opened before."""
        now = self._clock()
        dialect = postgresql if self._db.dialect.name == "postgresql" else sqlite
        added = self._db.execute(
            dialect.insert(incident)
            .values(
                id=new_id(now, self._chance),
                account_id=account_id,
                notice_id=notice_id,
                about=about,
                opened_at=now,
            )
            .on_conflict_do_nothing()
            .returning(incident.c.id)
        ).first()
        row = self._db.execute(select(incident).where(incident.c.notice_id == notice_id)).one()
        return self._incident(row), added is not None

    def close(self, incident_id: str, by: Actor = HOLDER, *, finding: str = "") -> bool:
        """Close an open incident; False when it is closed, or there is none."""
        sealed = (
            self._vault.seal("incident", finding.encode(), context=incident_id) if finding else None
        )
        return (
            self._db.execute(
                update(incident)
                .where(incident.c.id == incident_id, incident.c.closed_at.is_(None))
                .values(
                    closed_at=self._clock(),
                    closed_by=by.kind.value,
                    officer_id=by.id,
                    finding=sealed,
                )
            ).rowcount
            == 1
        )

    def of_account(self, account_id: str) -> list[Incident]:
        """Return the account's incidents, newest first."""
        rows = self._db.execute(
            select(incident)
            .where(incident.c.account_id == account_id)
            .order_by(incident.c.opened_at.desc(), incident.c.id.desc())
            .limit(50)
        )
        return [self._incident(row) for row in rows]

    def all_open(self) -> list[Incident]:
        """Return the open incidents of everybody, oldest first: the officers' list."""
        rows = self._db.execute(
            select(incident)
            .where(incident.c.closed_at.is_(None))
            .order_by(incident.c.opened_at)
            .limit(200)
        )
        return [self._incident(row) for row in rows]

    def has_open(self, account_id: str) -> bool:
        """True while the account's holder has not settled what she reported."""
        found = self._db.execute(
            select(incident.c.id)
            .where(incident.c.account_id == account_id, incident.c.closed_at.is_(None))
            .limit(1)
        ).first()
        return found is not None

    def latest_at(self, account_id: str) -> datetime | None:
        """Return when the account's newest incident was opened: what was trusted before, is not."""
        found: datetime | None = self._db.execute(
            select(func.max(incident.c.opened_at)).where(incident.c.account_id == account_id)
        ).scalar()
        return found

    def _incident(self, row: Any) -> Incident:
        return Incident(
            id=row.id,
            account_id=row.account_id,
            about=row.about,
            opened_at=row.opened_at,
            closed_at=row.closed_at,
            closed_by=ActorKind(row.closed_by) if row.closed_by else None,
            officer_id=row.officer_id,
            finding=self._vault.open("incident", row.finding, context=row.id).decode()
            if row.finding
            else "",
        )
