"""Opening audits as the provider keeps them: announced, drawn, opened and concluded, for all to see."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, Connection, Integer, String, Table, Text, insert, select, update

from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from consent.errors import ConsentError
from consent.ledger import tiles
from consent.ledger.epoch import ROOT_LOG, Epoch, Heads
from consent.ledger.opening import Leaf, Terms
from consent.log_state import LogState

opening_audit = Table(
    "opening_audit",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("auditor", String(255), nullable=False),
    Column("announcement", String(64), nullable=False, unique=True),
    # The draw is made with the epoch of this number, the first that follows.
    Column("epoch", Integer, nullable=False),
    Column("announced_at", UTCDateTime, nullable=False),
    Column("leaves", Text),
    Column("drawn_at", UTCDateTime),
    # The hash of the warrant's reference.
    Column("warrant", String(64)),
    Column("opened_at", UTCDateTime),
    Column("result", Text),
    Column("concluded_at", UTCDateTime),
)


class AuditRefusedError(ConsentError):
    """The step cannot be taken; ``detail`` says why."""

    code = "audit-refused"


@dataclass(frozen=True)
class OpeningAudit:
    """One audit and how far it is. ``result`` is the auditor's own word."""

    id: str
    auditor: str
    announcement: str
    epoch: int
    announced_at: datetime
    leaves: tuple[Leaf, ...] | None
    drawn_at: datetime | None
    warrant: str | None
    opened_at: datetime | None
    result: dict[str, Any] | None
    concluded_at: datetime | None

    @property
    def statement(self) -> dict[str, Any]:
        """What everybody may know of it."""
        return {
            "audit": self.id,
            "auditor": self.auditor,
            "announcement": self.announcement,
            "epoch": self.epoch,
            "announced_at": _spelled(self.announced_at),
            "entries": len(self.leaves) if self.leaves is not None else None,
            "drawn_at": _spelled(self.drawn_at),
            "warrant": self.warrant,
            "opened_at": _spelled(self.opened_at),
            "result": self.result,
            "concluded_at": _spelled(self.concluded_at),
        }


class OpeningAudits:
    """All audits."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance

    def announce(self, auditor: str, announcement: str) -> OpeningAudit:
        """Take an announcement; the same one again is the same audit."""
        known = self._db.execute(
            select(opening_audit.c.id).where(opening_audit.c.announcement == announcement)
        ).scalar()
        if known is not None:
            return self._mine(known, auditor)
        now = self._clock()
        audit_id = new_id(now, self._chance)
        self._db.execute(
            insert(opening_audit).values(
                id=audit_id,
                auditor=auditor,
                announcement=announcement,
                epoch=LogState(self._db).state().epochs,
                announced_at=now,
            )
        )
        return self._mine(audit_id, auditor)

    def draw(self, audit_id: str, auditor: str, terms: Terms) -> OpeningAudit:
        """Draw, once the epoch is there.

        Raises:
            AuditRefusedError: no such audit, other terms than announced, or no epoch since.
        """
        found = self._mine(audit_id, auditor)
        if terms.announcement != found.announcement:
            raise AuditRefusedError("these are not the announced terms")
        if found.leaves is None:
            leaves = terms.draw(*self._epoch(found.epoch))
            self._change(found, leaves=orjson.dumps(leaves).decode(), drawn_at=self._clock())
        return self._mine(audit_id, auditor)

    def note_opened(self, audit_id: str, warrant: str) -> OpeningAudit:
        """Note under which warrant the drawn entries were opened.

        Raises:
            AuditRefusedError: nothing was drawn, or it was opened under another.
        """
        found = self.find(audit_id)
        if found is None or found.leaves is None:
            raise AuditRefusedError("no such audit, or nothing was drawn yet")
        if found.warrant not in {None, warrant}:
            raise AuditRefusedError("it was opened under another warrant")
        self._change(found, warrant=warrant, opened_at=found.opened_at or self._clock())
        return found

    def conclude(self, audit_id: str, auditor: str, result: dict[str, Any]) -> OpeningAudit:
        """Take the auditor's result, once.

        Raises:
            AuditRefusedError: nothing was opened, or it was concluded before.
        """
        found = self._mine(audit_id, auditor)
        if found.opened_at is None or found.concluded_at is not None:
            raise AuditRefusedError("nothing was opened yet, or it was concluded before")
        self._change(found, result=orjson.dumps(result).decode(), concluded_at=self._clock())
        return self._mine(audit_id, auditor)

    def all(self) -> list[OpeningAudit]:
        """Return every audit, the latest first."""
        rows = self._db.execute(select(opening_audit).order_by(opening_audit.c.id.desc()))
        return [_audit(row) for row in rows]

    def find(self, audit_id: str) -> OpeningAudit | None:
        """Return the audit."""
        row = self._db.execute(select(opening_audit).where(opening_audit.c.id == audit_id)).first()
        return None if row is None else _audit(row)

    def _mine(self, audit_id: str, auditor: str) -> OpeningAudit:
        found = self.find(audit_id)
        if found is None or found.auditor != auditor:
            raise AuditRefusedError("no such audit of yours")
        return found

    def _epoch(self, number: int) -> tuple[Epoch, Heads]:
        state, heads = LogState(self._db), dict[str, tuple[int, bytes]]()
        if state.state().epochs <= number:
            raise AuditRefusedError("no epoch followed the announcement yet")
        found: Epoch | None = None
        for tile in range(number // tiles.WIDTH + 1):
            entries = tiles.unbundle(state.tile(ROOT_LOG, tiles.ENTRIES, tile))
            for leaf in entries[: number + 1 - tile * tiles.WIDTH]:
                found = Epoch.parse(leaf)
                heads.update(found.grown)
        assert found is not None  # noqa: S101 - there is at least the one asked for
        return found, heads

    def _change(self, found: OpeningAudit, **values: Any) -> None:
        self._db.execute(
            update(opening_audit).where(opening_audit.c.id == found.id).values(**values)
        )


def _audit(row: Any) -> OpeningAudit:
    return OpeningAudit(
        row.id,
        row.auditor,
        row.announcement,
        row.epoch,
        row.announced_at,
        None if row.leaves is None else tuple((log, n) for log, n in orjson.loads(row.leaves)),
        row.drawn_at,
        row.warrant,
        row.opened_at,
        None if row.result is None else orjson.loads(row.result),
        row.concluded_at,
    )


def _spelled(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
