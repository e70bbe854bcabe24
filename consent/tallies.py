"""How often agencies used data: figures by month and by day, with no person in them.

They are added up by whoever follows the log, so that reading them costs the same however long the log is.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    PrimaryKeyConstraint,
    String,
    Table,
    bindparam,
    delete,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.legal_clock import HANOI
from accounts.schema import metadata
from accounts.statements import Statement
from consent.data_use import Channel, Outcome, UseEntry

_A_DAY = len("2026-11-22")

use_tally = Table(
    "use_tally",
    metadata,
    # A month (2026-11) or a day (2026-11-22) in Viet Nam.
    Column("period", String(10), nullable=False),
    Column("client_id", String(255), nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("uses", BigInteger, nullable=False),
    PrimaryKeyConstraint("period", "client_id", "purpose", "channel", "outcome"),
)


def _adding(dialect: str) -> Any:
    insert: Any = (postgresql if dialect == "postgresql" else sqlite).insert(use_tally)
    added = insert.values({column.name: bindparam(column.name) for column in use_tally.c})
    return added.on_conflict_do_update(
        index_elements=list(use_tally.primary_key.columns),
        set_={"uses": use_tally.c.uses + added.excluded.uses},
    )


_add = Statement(_adding)


@dataclass(frozen=True)
class Kind:
    """What a figure counts."""

    period: str
    client_id: str
    purpose: str
    channel: Channel
    outcome: Outcome


def month_of(moment: datetime) -> str:
    """Return the month in Viet Nam as figures are kept by it."""
    return moment.astimezone(HANOI).strftime("%Y-%m")


def add(db: Connection, entries: Iterable[UseEntry]) -> None:
    """Count entries, each in its month and its day."""
    counted: Counter[Kind] = Counter()
    for entry in entries:
        use, local = entry.use, entry.at.astimezone(HANOI)
        for period in (local.strftime("%Y-%m"), local.date().isoformat()):
            counted[Kind(period, use.client_id, use.purpose, use.channel, use.outcome)] += 1
    # In one order everywhere, so that two writers do not wait for one another.
    for kind, uses in sorted(counted.items(), key=lambda item: repr(item[0])):
        _add.change(
            db,
            {
                "period": kind.period,
                "client_id": kind.client_id,
                "purpose": kind.purpose,
                "channel": kind.channel.value,
                "outcome": kind.outcome.value,
                "uses": uses,
            },
        )


def of(db: Connection, periods: Iterable[str]) -> dict[Kind, int]:
    """Return the figures of months or days."""
    rows = db.execute(select(use_tally).where(use_tally.c.period.in_(list(periods))))
    return {
        Kind(
            row.period, row.client_id, row.purpose, Channel(row.channel), Outcome(row.outcome)
        ): row.uses
        for row in rows
    }


def purge_days(db: Connection, before: date) -> int:
    """Remove the figures of days before the day; months stay. Return how many rows went."""
    return db.execute(
        delete(use_tally).where(
            func.length(use_tally.c.period) == _A_DAY, use_tally.c.period < before.isoformat()
        )
    ).rowcount
