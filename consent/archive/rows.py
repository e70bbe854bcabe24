"""What the archive asks of the database's rows of uses, and of whose they are: all SQL on them."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    cast,
    delete,
    func,
    select,
    text,
)

from accounts.schema import Identifier
from accounts.vault import Vault
from consent import partitions
from consent.archive.parts import WHO_BYTES
from consent.archive.store import opened_key
from consent.data_use import (
    ENTRIES,
    UseEntry,
    data_use,
    entry_of,
    select_entries,
    subject_chain,
    subject_key,
)
from consent.ledger.head_map import bucket_of
from consent.log_state import ledger_head
from consent.use_terms import use_terms

_MANY = 500
_ENDS = (
    subject_chain.c.removed,
    subject_chain.c.length.label("chain_length"),
    ledger_head.c.length.label("published"),
)
_HEAD_AND_CHAIN = ledger_head.join(
    subject_chain, subject_chain.c.subject_id == ledger_head.c.subject_id
)


def _as_id(table: Table) -> ColumnElement[str]:
    """Return a table's subject as entries have it."""
    return cast(table.c.subject_id, Identifier)


class Person(NamedTuple):
    """Whose a block is: by what she is found, who she is, how many of her uses are gone, her key, and how
    many her chain has, and the published logs.
    """

    who: bytes
    subject_id: str
    removed: int
    key: bytes | None
    length: int
    published: int


def read_whole(db: Connection) -> None:
    """Let PostgreSQL plan for reading whole months in this transaction, not for the first rows of one."""
    if db.dialect.name == "postgresql":
        db.execute(text("SET LOCAL enable_seqscan = on"))
        db.execute(text("SET LOCAL cursor_tuple_fraction = 1"))


def are_there(db: Connection, begin: datetime, end: datetime) -> bool:
    """True while the database holds uses of the time."""
    found = select(data_use.c.position).where(data_use.c.at >= begin, data_use.c.at < end)
    return db.execute(found.limit(1)).first() is not None


def unpublished(db: Connection, begin: datetime, end: datetime) -> int:
    """Return how many uses of the time are not in the published logs, but will be: rows beyond the end of
    their chains are no uses.
    """
    joined = data_use.join(subject_chain, data_use.c.subject_id == _as_id(subject_chain)).outerjoin(
        ledger_head, data_use.c.subject_id == _as_id(ledger_head)
    )
    late = data_use.c.position > func.coalesce(ledger_head.c.length, 0)
    is_use = data_use.c.position <= subject_chain.c.length
    return db.execute(
        select(func.count())
        .select_from(joined)
        .where(data_use.c.at >= begin, data_use.c.at < end, late, is_use)
    ).scalar_one()


def unseen(db: Connection, begin: datetime, end: datetime) -> int:
    """Return how many rows of the time ``by_person`` does not see: nobody's who is in the logs, or without
    what they have in common with others.
    """
    joined = data_use.outerjoin(
        ledger_head, data_use.c.subject_id == _as_id(ledger_head)
    ).outerjoin(use_terms, use_terms.c.id == data_use.c.terms)
    is_unseen = ledger_head.c.subject_id.is_(None) | use_terms.c.id.is_(None)
    return db.execute(
        select(func.count())
        .select_from(joined)
        .where(data_use.c.at >= begin, data_use.c.at < end, is_unseen)
    ).scalar_one()


def by_person(
    db: Connection, vault: Vault, begin: datetime, end: datetime
) -> Generator[tuple[Person, list[UseEntry]]]:
    """Yield the uses of a time within one year by person, in the order of the head map."""
    at_year = (subject_key.c.subject_id == ledger_head.c.subject_id) & (
        subject_key.c.year == begin.year
    )
    rows = db.execute(
        select_entries()
        .add_columns(ledger_head.c.idx, *_ENDS, subject_key.c.sealed)
        .select_from(
            ENTRIES.join(ledger_head, data_use.c.subject_id == _as_id(ledger_head))
            .join(subject_chain, subject_chain.c.subject_id == ledger_head.c.subject_id)
            .outerjoin(subject_key, at_year)
        )
        .where(data_use.c.at >= begin, data_use.c.at < end)
        .order_by(ledger_head.c.bucket, ledger_head.c.idx, data_use.c.position)
        .execution_options(yield_per=1000)
    )
    # Whoever stops in the midst, for what was found, must not leave a cursor open.
    with closing(rows):
        for index, grouped in groupby(rows, key=lambda row: bytes(row.idx)):
            own = list(grouped)
            subject_id, sealed = own[0].subject_id, own[0].sealed
            key = opened_key(vault, subject_id, begin.year, sealed)
            person = _person(index[:WHO_BYTES], own[0], key)
            yield person, [entry_of(row) for row in own]


def with_uses(
    db: Connection, subject_ids: Iterable[str], begin: datetime, end: datetime
) -> set[str]:
    """Return which of some subjects have rows of the time."""
    within = (data_use.c.at >= begin, data_use.c.at < end)
    asked, found = list(subject_ids), set[str]()
    for place in range(0, len(asked), _MANY):
        some = data_use.c.subject_id.in_(asked[place : place + _MANY])
        found |= set(db.execute(select(data_use.c.subject_id).where(some, *within)).scalars())
    return found


def take_out(db: Connection, begin: datetime, end: datetime) -> int:
    """Remove the uses of a month; return how many they were. PostgreSQL drops the month's table.

    Raises:
        OperationalError: somebody reads them for so long that the table cannot be dropped now.
    """
    within = (data_use.c.at >= begin, data_use.c.at < end)
    if db.dialect.name != "postgresql":
        return db.execute(delete(data_use).where(*within)).rowcount
    count = db.execute(select(func.count()).select_from(data_use).where(*within)).scalar_one()
    partitions.drop(db, partitions.month_of(begin))
    # What came while the month had no table of its own.
    db.execute(delete(data_use).where(*within))
    return count


def people(db: Connection, vault: Vault, wanted: Iterable[bytes], year: int) -> dict[bytes, Person]:
    """Return who is found by these, with their keys of a year."""
    at_year = (subject_key.c.subject_id == ledger_head.c.subject_id) & (subject_key.c.year == year)
    query = select(
        ledger_head.c.idx,
        ledger_head.c.subject_id,
        *_ENDS,
        subject_key.c.sealed,
    ).select_from(_HEAD_AND_CHAIN.outerjoin(subject_key, at_year))
    return {
        own: _person(own, row, opened_key(vault, row.subject_id, year, row.sealed))
        for own, row in _found(db, query, wanted)
    }


def _person(who: bytes, row: Row[Any], key: bytes | None) -> Person:
    return Person(who, row.subject_id, row.removed, key, row.chain_length, row.published)


def removed(db: Connection, wanted: Iterable[bytes]) -> dict[bytes, int]:
    """Return how many uses are gone from the chains of those who are found by these."""
    query = select(ledger_head.c.idx, subject_chain.c.removed).select_from(_HEAD_AND_CHAIN)
    return {own: row.removed for own, row in _found(db, query, wanted)}


def _found(
    db: Connection, query: Select[Any], wanted: Iterable[bytes]
) -> Iterator[tuple[bytes, Any]]:
    asked = set(wanted)
    buckets = sorted({bucket_of(one) for one in asked})
    for place in range(0, len(buckets), _MANY):
        some = query.where(ledger_head.c.bucket.in_(buckets[place : place + _MANY]))
        for row in db.execute(some):
            own = bytes(row.idx)[:WHO_BYTES]
            if own in asked:
                yield own, row
