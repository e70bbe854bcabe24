"""Which agencies have used which of a person's data before, and whose month is still to be summed up.

Kept beside the log by whoever follows it, so that what is new about a use is known without reading her
whole record.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    Column,
    Connection,
    Index,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    delete,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.schema import UTCDateTime, metadata
from consent.data_use import UseEntry
from consent.tallies import month_of

seen_use = Table(
    "seen_use",
    metadata,
    Column("subject_id", String(32), nullable=False),
    Column("client_id", String(255), nullable=False),
    # The names of all attributes it used, as a JSON list.
    Column("attributes", Text, nullable=False),
    Column("first_at", UTCDateTime, nullable=False),
    Column("last_month", String(7), nullable=False),
    # The countries that its uses went to, other than Viet Nam, as a JSON list.
    Column("countries", Text, nullable=False, server_default="[]"),
    # When something unusual of it was last told.
    Column("told_at", UTCDateTime),
    PrimaryKeyConstraint("subject_id", "client_id"),
)
Index("ix_seen_use_last_month", seen_use.c.last_month)

month_due = Table(
    "month_due",
    metadata,
    Column("month", String(7), nullable=False),
    Column("subject_id", String(32), nullable=False),
    PrimaryKeyConstraint("month", "subject_id"),
)


class _Known(NamedTuple):
    """What is kept of a person and an agency, as its names say."""

    attributes: frozenset[str]
    countries: frozenset[str]
    first_at: datetime
    last_month: str
    told_at: datetime | None


@dataclass(frozen=True)
class Novelty:
    """What is new about a use: the agency, or attributes or countries of an agency known since
    ``first_at``.
    """

    entry: UseEntry
    is_first: bool
    attributes: frozenset[str]
    countries: frozenset[str]
    first_at: datetime
    told_at: datetime | None


def note(
    db: Connection, entries: Iterable[UseEntry], abroad: Mapping[str, frozenset[str]]
) -> list[Novelty]:
    """Note uses, oldest first, and return what was new about each; ``abroad`` tells by an entry's id
    which other countries it goes to.
    """
    uses = list(entries)
    known = _known(db, {(one.use.subject_id, one.use.client_id) for one in uses})
    found, changed, months = [], set(), set()
    for entry in uses:
        pair = entry.use.subject_id, entry.use.client_id
        names, month = frozenset(entry.use.attributes), month_of(entry.at)
        goes_to = abroad.get(entry.id, frozenset())
        months.add((month, entry.use.subject_id))
        before = known.get(pair)
        if before is None:
            found.append(Novelty(entry, True, names, goes_to, entry.at, None))
            after = _Known(names, goes_to, entry.at, month, None)
        else:
            new = names - before.attributes, goes_to - before.countries
            found.append(Novelty(entry, False, *new, before.first_at, before.told_at))
            after = before._replace(
                attributes=before.attributes | names,
                countries=before.countries | goes_to,
                last_month=max(month, before.last_month),
            )
        if after != before:
            known[pair] = after
            changed.add(pair)
    _save(db, {pair: known[pair] for pair in sorted(changed)})
    _expect(db, months)
    return found


def note_told(db: Connection, entry: UseEntry) -> None:
    """Note that something unusual of this agency was told now, with this use."""
    db.execute(
        update(seen_use)
        .where(
            seen_use.c.subject_id == entry.use.subject_id,
            seen_use.c.client_id == entry.use.client_id,
        )
        .values(told_at=entry.at)
    )


def next_due(db: Connection, before_month: str, most: int) -> list[tuple[str, str]]:
    """Return so many months and subjects that wait to be summed up, of months before this one."""
    rows = db.execute(
        select(month_due)
        .where(month_due.c.month < before_month)
        .order_by(month_due.c.month)
        .limit(most)
    )
    return [(row.month, row.subject_id) for row in rows]


def settle(db: Connection, month: str, subject_id: str) -> bool:
    """Take a month off the list; False when somebody else did."""
    this = (month_due.c.month == month, month_due.c.subject_id == subject_id)
    return db.execute(delete(month_due).where(*this)).rowcount == 1


def purge(db: Connection, before: datetime) -> int:
    """Forget agencies that have used nothing since the moment's month; return how many rows went."""
    gone = delete(seen_use).where(seen_use.c.last_month < month_of(before))
    return db.execute(gone).rowcount


def _known(db: Connection, pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], _Known]:
    key = tuple_(seen_use.c.subject_id, seen_use.c.client_id)
    return {
        (row.subject_id, row.client_id): _Known(
            frozenset(orjson.loads(row.attributes)), frozenset(orjson.loads(row.countries)),
            row.first_at, row.last_month, row.told_at,
        )
        for row in db.execute(select(seen_use).where(key.in_(sorted(pairs))))
    }  # fmt: skip


def _save(db: Connection, changed: Mapping[tuple[str, str], _Known]) -> None:
    if not changed:
        return
    rows = [
        {
            "subject_id": subject_id,
            "client_id": client_id,
            "attributes": orjson.dumps(sorted(one.attributes)).decode(),
            "countries": orjson.dumps(sorted(one.countries)).decode(),
            "first_at": one.first_at,
            "last_month": one.last_month,
            "told_at": one.told_at,
        }
        for (subject_id, client_id), one in changed.items()
    ]
    insert = _dialect(db).insert(seen_use)
    grown = {name: insert.excluded[name] for name in ("attributes", "countries", "last_month")}
    db.execute(
        insert.on_conflict_do_update(index_elements=["subject_id", "client_id"], set_=grown), rows
    )


def _expect(db: Connection, months: set[tuple[str, str]]) -> None:
    if months:
        rows = [{"month": month, "subject_id": subject} for month, subject in sorted(months)]
        db.execute(_dialect(db).insert(month_due).on_conflict_do_nothing(), rows)


def _dialect(db: Connection) -> Any:
    return postgresql if db.dialect.name == "postgresql" else sqlite
