"""How PostgreSQL divides the entries: a table a month, each by a hash of the subject.

A month that is over is archived, and goes, as a whole; who looks for one person's entries reads one
part of each month. Months are made ahead of their time. An entry whose month was not made, because
upkeep stood still, is kept in ``data_use_rest`` and moved when it is. SQLite keeps one table.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

PARTS = 4
"""So many tables a month has; a month keeps those that it was made with."""
_AHEAD = 3
# Any number will do, as long as nothing else in the database uses it as an advisory lock.
_ONE_AT_A_TIME = 7_305_162_115
_REST = "data_use_rest"
# Whoever has to wait for readers longer than this tries again later, and lets nobody wait behind.
_PATIENCE = "SET LOCAL lock_timeout = '2s'"

Month = tuple[int, int]
"""Year and month, in UTC."""


def prepare(db: Connection, now: datetime) -> list[Month]:
    """Make the tables of this month, of some to come and of those that entries were made in; return
    which were new.
    """
    if db.dialect.name != "postgresql":
        return []
    db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME})
    wanted = [_later(month_of(now), number) for number in range(_AHEAD + 1)]
    rest = db.execute(
        text(
            "SELECT DISTINCT date_trunc('month', at, 'UTC') AT TIME ZONE 'UTC' AS month "
            "FROM data_use_rest"
        )
    )
    wanted += [(row.month.year, row.month.month) for row in rest]
    new = [month for month in sorted(set(wanted)) if not _exists(db, name_of(month))]
    for month in new:
        _make(db, month)
    return new


def month_of(moment: datetime) -> Month:
    """Return the month of a moment."""
    local = moment.astimezone(UTC)
    return local.year, local.month


def bounds(month: Month) -> tuple[datetime, datetime]:
    """Return a month's first moment, and the first one after it."""
    return datetime(*month, 1, tzinfo=UTC), datetime(*_later(month, 1), 1, tzinfo=UTC)


def name_of(month: Month) -> str:
    """Return the name of a month's table."""
    return f"data_use_{month[0]:04}_{month[1]:02}"


def drop(db: Connection, month: Month) -> None:
    """Remove a month's table with all of its entries, where there is one."""
    if db.dialect.name == "postgresql" and _exists(db, name_of(month)):
        db.execute(text(_PATIENCE))
        db.execute(text(f"DROP TABLE {name_of(month)}"))


def summarise(db: Connection, now: datetime) -> None:
    """Let PostgreSQL note the times of the blocks filled this month: without, all that came after the
    last vacuum is read through at each look by time.
    """
    tables = [_REST, *(f"{name_of(month_of(now))}_{part}" for part in range(PARTS))]
    for (index,) in db.execute(text(_BRIN_INDEXES), {"tables": tables}).all():
        db.execute(text("SELECT brin_summarize_new_values(:index)"), {"index": index})


def _make(db: Connection, month: Month) -> None:
    name = name_of(month)
    begin, end = (f"'{moment:%Y-%m-%d} 00:00:00+00'" for moment in bounds(month))

    def run(sql: str) -> Any:
        return db.execute(text(sql))

    run(_PATIENCE)
    # Made beside the table and attached: that lets releases go on, where PARTITION OF would not.
    run(f"CREATE TABLE {name} (LIKE data_use) PARTITION BY HASH (subject_id)")
    for part in range(PARTS):
        run(
            f"CREATE TABLE {name}_{part} PARTITION OF {name} "
            f"FOR VALUES WITH (MODULUS {PARTS}, REMAINDER {part})"
        )
    run(f"LOCK TABLE {_REST} IN ACCESS EXCLUSIVE MODE")
    within = f"at >= {begin} AND at < {end}"
    run(
        f"WITH moved AS (DELETE FROM {_REST} WHERE {within} RETURNING *) "  # noqa: S608 - constants
        f"INSERT INTO {name} SELECT * FROM moved"
    )
    run(f"ALTER TABLE data_use ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})")


def _exists(db: Connection, name: str) -> bool:
    return db.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar() is not None


def _later(month: Month, by: int) -> Month:
    years, number = divmod(month[1] - 1 + by, 12)
    return month[0] + years, number + 1


_BRIN_INDEXES = """
SELECT part.relid FROM pg_partition_tree('ix_data_use_at') part
JOIN pg_index ON indexrelid = part.relid
WHERE part.isleaf AND indrelid = ANY (SELECT to_regclass(name) FROM unnest(CAST(:tables AS text[])) AS name)
"""
