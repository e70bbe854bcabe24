"""Mandates: who may act for whom. The registers decide legal representation, never the person."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Row,
    String,
    Table,
    insert,
    select,
    update,
)

from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id


class MandateType(StrEnum):
    """The kinds of mandate that exist so far."""

    LEGAL_REP = "legal_rep"


mandate = Table(
    "mandate",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("type", String(16), nullable=False),
    Column("principal_id", String(32), ForeignKey("subject.id"), nullable=False),
    Column("agent_id", String(32), ForeignKey("subject.id"), nullable=False, index=True),
    Column("source", String(32), nullable=False),
    Column("valid_from", UTCDateTime, nullable=False),
    Column("valid_to", UTCDateTime),
)
Index("ix_mandate_principal_id_agent_id", mandate.c.principal_id, mandate.c.agent_id)


@dataclass(frozen=True)
class Mandate:
    """The right of ``agent_id`` (a person) to act for ``principal_id`` (an organisation)."""

    id: str
    type: MandateType
    principal_id: str
    agent_id: str
    source: str
    valid_from: datetime
    valid_to: datetime | None


class Mandates:
    """All mandates."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance

    def held_by(self, agent_id: str) -> list[Mandate]:
        """Return the mandates under which the person may act now."""
        rows = self._db.execute(
            select(mandate)
            .where(mandate.c.agent_id == agent_id, *self._in_force())
            .order_by(mandate.c.valid_from, mandate.c.id)
        )
        return [_mandate(row) for row in rows]

    def find_in_force(self, mandate_id: str, agent_id: str) -> Mandate | None:
        """Return the mandate if it exists, is this person's, and is in force now."""
        row = self._db.execute(
            select(mandate).where(
                mandate.c.id == mandate_id, mandate.c.agent_id == agent_id, *self._in_force()
            )
        ).first()
        return None if row is None else _mandate(row)

    def follow_register(
        self, type_: MandateType, principal_id: str, agents: set[str], source: str
    ) -> set[str]:
        """Make the mandates match what the register says; return the agents who lost theirs."""
        now = self._clock()
        current = {
            row.agent_id
            for row in self._db.execute(
                select(mandate.c.agent_id).where(
                    mandate.c.principal_id == principal_id,
                    mandate.c.type == type_.value,
                    *self._in_force(),
                )
            )
        }
        for agent_id in sorted(agents - current):
            self._db.execute(
                insert(mandate).values(
                    id=new_id(now, self._chance),
                    type=type_.value,
                    principal_id=principal_id,
                    agent_id=agent_id,
                    source=source,
                    valid_from=now,
                )
            )
        lost = current - agents
        if lost:
            self._db.execute(
                update(mandate)
                .where(
                    mandate.c.principal_id == principal_id,
                    mandate.c.type == type_.value,
                    mandate.c.agent_id.in_(lost),
                    mandate.c.valid_to.is_(None),
                )
                .values(valid_to=now)
            )
        return lost

    def _in_force(self) -> tuple[Any, ...]:
        now = self._clock()
        return (
            mandate.c.valid_from <= now,
            mandate.c.valid_to.is_(None) | (mandate.c.valid_to > now),
        )


def _mandate(row: Row[Any]) -> Mandate:
    return Mandate(
        id=row.id,
        type=MandateType(row.type),
        principal_id=row.principal_id,
        agent_id=row.agent_id,
        source=row.source,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
    )
