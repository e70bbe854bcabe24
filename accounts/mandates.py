"""Mandates: who may act for whom. The registers decide legal representation, never the person."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
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

from accounts.account import AccountState, account, account_lock
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id


class MandateType(StrEnum):
    """The kinds of mandate that exist so far."""

    LEGAL_REP = "legal_rep"
    PARENT = "parent"
    GUARDIAN = "guardian"


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
    """The right of ``agent_id`` (a person) to act for ``principal_id`` (an organisation, or a child
    or ward).
    """

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

    def held_by(self, agent_id: str, type_: MandateType | None = None) -> list[Mandate]:
        """Return the mandates, of one type or all, under which the person may act now."""
        of_type = () if type_ is None else (mandate.c.type == type_.value,)
        rows = self._db.execute(
            select(mandate)
            .where(mandate.c.agent_id == agent_id, *of_type, *self._in_force())
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

    def grant(
        self,
        type_: MandateType,
        principal_id: str,
        agent_id: str,
        source: str,
        valid_to: datetime | None,
    ) -> None:
        """Let the person act for the other until the moment, unless she may already."""
        known = self._db.execute(
            select(mandate.c.id).where(
                mandate.c.type == type_.value,
                mandate.c.principal_id == principal_id,
                mandate.c.agent_id == agent_id,
                *self._valid(),
            )
        ).first()
        if known is not None:
            return
        now = self._clock()
        self._db.execute(
            insert(mandate).values(
                id=new_id(now, self._chance),
                type=type_.value,
                principal_id=principal_id,
                agent_id=agent_id,
                source=source,
                valid_from=now,
                valid_to=valid_to,
            )
        )

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
                    *self._valid(),
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

    def end_of(self, subject_id: str) -> int:
        """End every mandate that the subject gave or received; return how many."""
        now = self._clock()
        return self._db.execute(
            update(mandate)
            .where(
                (mandate.c.principal_id == subject_id) | (mandate.c.agent_id == subject_id),
                mandate.c.valid_to.is_(None) | (mandate.c.valid_to > now),
            )
            .values(valid_to=now)
        ).rowcount

    def _in_force(self) -> tuple[Any, ...]:
        """Return what makes a mandate count now.

        A locked account suspends the mandates given and received (Decree 69/2024 Art. 15); they
        count again when its last lock reason is gone, so nothing is written for it.
        """
        return (
            *self._valid(),
            _not_barred(mandate.c.principal_id),
            _not_barred(mandate.c.agent_id),
        )

    def _valid(self) -> tuple[Any, ...]:
        now = self._clock()
        return (
            mandate.c.valid_from <= now,
            mandate.c.valid_to.is_(None) | (mandate.c.valid_to > now),
        )


def _not_barred(subject_id: Column[str]) -> ColumnElement[bool]:
    """Return the condition that the subject's live account, if there is one, has no lock."""
    barred = (
        select(account.c.id)
        .join(account_lock, account_lock.c.account_id == account.c.id)
        .where(account.c.subject_id == subject_id, account.c.state != AccountState.CLOSED.value)
    )
    return ~barred.exists()


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
