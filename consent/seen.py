"""Which agencies have used which of a person's data before, and whose month is still to be summed up.

Kept beside the log by whoever follows it, so that what is new about a use is known without reading her
whole record.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
    pairs = {(one.use.subject_id, one.use.client_id) for one in uses}
    key = tuple_(seen_use.c.subject_id, seen_use.c.client_id)
    known: dict[tuple[str, str], dict[str, Any]] = {}
    for found_row in db.execute(select(seen_use).where(key.in_(sorted(pairs)))).mappings():
        known[found_row["subject_id"], found_row["client_id"]] = {
            str(name): value for name, value in found_row.items()
        }
    found, changed = [], set()
    months = set()
    for entry in uses:
        pair = entry.use.subject_id, entry.use.client_id
        names, month = frozenset(entry.use.attributes), month_of(entry.at)
        months.add((month, entry.use.subject_id))
        row = known.get(pair)
        goes_to = abroad.get(entry.id, frozenset())
        before = frozenset(orjson.loads(row["attributes"])) if row else frozenset()
        been = frozenset(orjson.loads(row["countries"])) if row else frozenset()
        if row is None:
            row = known[pair] = {
                "subject_id": pair[0],
                "client_id": pair[1],
                "first_at": entry.at,
                "last_month": month,
                "told_at": None,
            }
            found.append(Novelty(entry, True, names, goes_to, entry.at, None))
        else:
            new = names - before, goes_to - been
            found.append(Novelty(entry, False, *new, row["first_at"], row["told_at"]))
        is_more = not names <= before or not goes_to <= been
        if is_more or "countries" not in row or row["last_month"] < month:
            row["countries"] = orjson.dumps(sorted(been | goes_to)).decode()
            row["attributes"] = orjson.dumps(sorted(before | names)).decode()
            row["last_month"] = max(month, row["last_month"])
            changed.add(pair)
    _save(db, [known[pair] for pair in sorted(changed)])
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


def _save(db: Connection, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    insert = _dialect(db).insert(seen_use)
    changed = {name: insert.excluded[name] for name in ("attributes", "countries", "last_month")}
    db.execute(
        insert.on_conflict_do_update(index_elements=["subject_id", "client_id"], set_=changed), rows
    )


def _expect(db: Connection, months: set[tuple[str, str]]) -> None:
    if months:
        rows = [{"month": month, "subject_id": subject} for month, subject in sorted(months)]
        db.execute(_dialect(db).insert(month_due).on_conflict_do_nothing(), rows)


def _dialect(db: Connection) -> Any:
    return postgresql if db.dialect.name == "postgresql" else sqlite
