"""How often agencies used data: figures by month and by day, with no person in them.

They are added up by whoever follows the log, so that reading them costs the same however long the log is.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
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

_A_DAY, _A_MONTH = len("2026-11-22"), len("2026-11")

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

_KIND = use_tally.primary_key.columns.keys()


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
    return _day_of(moment)[:_A_MONTH]


def add(db: Connection, entries: Iterable[UseEntry]) -> None:
    """Count entries, each in its month and its day."""
    by_day = Counter(
        (_day_of(one.at), one.use.client_id, one.use.purpose, one.use.channel, one.use.outcome)
        for one in entries
    )
    counted: Counter[tuple[str, ...]] = Counter()
    for (day, *kind), uses in by_day.items():
        for period in (day[:_A_MONTH], day):
            counted[period, *kind] += uses
    # In one order everywhere, so that two writers do not wait for one another.
    for values, uses in sorted(counted.items()):
        _add.change(db, {**dict(zip(_KIND, values, strict=True)), "uses": uses})


def _day_of(moment: datetime) -> str:
    # In Viet Nam an hour begins when it does in UTC.
    return _day_of_hour(moment.replace(minute=0, second=0, microsecond=0))


@lru_cache(maxsize=64)
def _day_of_hour(hour: datetime) -> str:
    return hour.astimezone(HANOI).date().isoformat()


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
