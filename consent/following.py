"""Following the log of uses: whoever has to look at every entry once takes what the sequencer published.

Releases write nothing for it. The stream beside each entry log says whose entry each leaf is; how far
it was read is noted in the transaction of what was made of it, so a follower that dies goes on where it
was, and of several at once one succeeds.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Connection, String, Table, select, update
from sqlalchemy.dialects import postgresql, sqlite

from accounts.schema import metadata
from consent.data_use import UseEntry, entry_of, rows_at
from consent.ledger.tiles import WIDTH
from consent.log_state import STREAM, STREAM_BYTES, LogState, ledger_log, span_of

_MOST = {"sqlite": 100, "postgresql": 500}
"""Entries a turn: on SQLite everybody else waits for that long, and PostgreSQL can remove no row's old
versions meanwhile.
"""
_ENTRY_LOGS = "entries/"
_INDEX_BYTES = STREAM_BYTES - 4

followed_log = Table(
    "followed_log",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
)


@dataclass(frozen=True)
class Turn:
    """What one turn takes: ``entries`` in the order of the log; those removed since are not there."""

    entries: list[UseEntry]
    is_last: bool


def take(db: Connection) -> Turn:
    """Return the next entries that nobody followed yet and note, in this transaction, that they were.

    When somebody else takes the same at this moment, there are none.
    """
    state = LogState(db)
    known = {row.name: row.size for row in db.execute(select(followed_log))}
    behind = [
        row
        for row in db.execute(select(ledger_log.c.name, ledger_log.c.size))
        if row.name.startswith(_ENTRY_LOGS) and row.size > known.get(row.name, 0)
    ]
    if not behind:
        return Turn([], is_last=True)
    log = min(behind, key=lambda row: row.name)
    begin = known.get(log.name, 0)
    end = min(log.size, begin + _MOST[db.dialect.name])
    if not _advance(db, log.name, begin, end):
        return Turn([], is_last=False)
    whose = _stream(state, log.name, begin, end)
    return Turn(_entries(db, state, log.name, whose), is_last=len(behind) == 1 and end == log.size)


def is_behind(db: Connection) -> bool:
    """True while there are published entries that were not followed."""
    followed = select(followed_log.c.size).where(followed_log.c.name == ledger_log.c.name)
    behind = select(ledger_log.c.name).where(
        ledger_log.c.name.startswith(_ENTRY_LOGS),
        ledger_log.c.size != followed.scalar_subquery(),
    )
    unknown = select(ledger_log.c.name).where(
        ledger_log.c.name.startswith(_ENTRY_LOGS), ~followed.exists()
    )
    return db.execute(behind.union(unknown).limit(1)).first() is not None


def _advance(db: Connection, name: str, begin: int, end: int) -> bool:
    """Move the mark; False when another follower moved it first."""
    if begin == 0:
        dialect = postgresql if db.dialect.name == "postgresql" else sqlite
        first = dialect.insert(followed_log).values(name=name, size=0).on_conflict_do_nothing()
        db.execute(first)
    here = (followed_log.c.name == name, followed_log.c.size == begin)
    return db.execute(update(followed_log).where(*here).values(size=end)).rowcount == 1


def _stream(state: LogState, name: str, begin: int, end: int) -> list[tuple[bytes, int]]:
    """Return index and position of the leaves from ``begin`` to before ``end``."""
    found: list[tuple[bytes, int]] = []
    for number in range(begin // WIDTH, (end - 1) // WIDTH + 1):
        data = state.tile(name, STREAM, number)
        first = max(begin - number * WIDTH, 0)
        for place in range(first, min(end - number * WIDTH, WIDTH)):
            one = data[place * STREAM_BYTES : (place + 1) * STREAM_BYTES]
            found.append((one[:_INDEX_BYTES], int.from_bytes(one[_INDEX_BYTES:], "big")))
    return found


def _entries(
    db: Connection, state: LogState, log: str, whose: Iterable[tuple[bytes, int]]
) -> list[UseEntry]:
    places = list(whose)
    heads = state.heads_at({index for index, _ in places})
    wanted = [(heads[index].subject_id, position) for index, position in places if index in heads]
    rows = {(row.subject_id, row.position): row for row in rows_at(db, wanted, *span_of(log))}
    return [entry_of(rows[place]) for place in wanted if place in rows]
