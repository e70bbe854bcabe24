"""Uses that the database does not hold any more, as who reads entries finds them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection, select

from consent.data_use import UseEntry, data_use, subject_chain


@dataclass(frozen=True)
class OldUses:
    """One person's uses of a month that were moved out of the database. ``entries`` is None once the
    key they were sealed by is gone; their commitments stay.
    """

    first: int
    commitments: tuple[bytes, ...]
    entries: list[UseEntry] | None

    @property
    def last(self) -> int:
        """The position of the last of them."""
        return self.first + len(self.commitments) - 1


class Old(Protocol):
    """Where uses are that the database does not hold any more (``consent.archive``)."""

    def of(
        self,
        subject_id: str,
        *,
        after: int,
        before: int,
        oldest_first: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[OldUses]:
        """Yield a person's uses by month, of the positions between ``after`` and ``before``, newest
        month first unless told otherwise; months wholly outside of ``since`` and ``until`` are left out.

        Raises:
            ArchiveError: a file is missing or damaged.
        """
        ...


def old_positions(db: Connection, subject_id: str) -> tuple[int, int]:
    """Return after and before which positions a chain's entries are in the archive; between the two
    there may be nothing.
    """
    first = select(data_use.c.position).where(data_use.c.subject_id == subject_id)
    columns = subject_chain.c
    row = db.execute(
        select(
            columns.removed,
            columns.length,
            first.order_by(data_use.c.position).limit(1).scalar_subquery().label("first"),
        ).where(columns.subject_id == subject_id)
    ).first()
    if row is None:
        return 0, 1
    return row.removed, row.first or row.length + 1


def older_entries(
    db: Connection,
    old: Old | None,
    subject_id: str,
    *,
    below: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[UseEntry]:
    """Yield a person's entries that the archive holds, newest first, below a position.

    Raises:
        ArchiveError: a file is missing or damaged.
    """
    if old is None:
        return
    after, before = old_positions(db, subject_id)
    before = before if below is None else min(before, below)
    if before - after <= 1:
        return
    for month in old.of(subject_id, after=after, before=before, since=since, until=until):
        yield from (e for e in reversed(month.entries or ()) if after < e.position < before)


def old_uses_at(
    db: Connection,
    old: Old | None,
    subject_id: str,
    position: int,
    within: tuple[datetime, datetime] | None = None,
) -> OldUses | None:
    """Return what the archive holds of the month in which a person's entry at the position was made;
    sooner where it is known to have been made from one moment to before another.

    Raises:
        ArchiveError: a file is missing or damaged.
    """
    after, before = old_positions(db, subject_id)
    if old is None or not after < position < before:
        return None
    since, until = within or (None, None)
    months = old.of(subject_id, after=position - 1, before=position + 1, since=since, until=until)
    return next(months, None)


def find_old(
    db: Connection,
    old: Old | None,
    subject_id: str,
    position: int,
    within: tuple[datetime, datetime] | None = None,
) -> UseEntry | None:
    """Return the entry at a position (``old_uses_at``), if the archive holds it and it can be read.

    Raises:
        ArchiveError: a file is missing or damaged.
    """
    found = old_uses_at(db, old, subject_id, position, within)
    if found is None or found.entries is None:
        return None
    return found.entries[position - found.first]
