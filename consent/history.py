"""Reading the log of uses as people do: narrowed, one by one, month by month, agency by agency.

It only reads. What concerns a whole record looks at the latest uses only, so that a page of somebody
with a very long record costs no more than another's. What is older than the database comes from the
archive, on pages of its own: the newest uses never wait for a file.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, func, select

from consent.data_use import (
    PROVIDER,
    Channel,
    Old,
    Outcome,
    UseEntry,
    data_use,
    entry_of,
    find_old,
    old_positions,
    older_entries,
    subject_chain,
)

LOOKS_BACK = 20_000
"""So many of the latest uses are looked at for what is said of a whole record."""
_A_TURN = 500
LOOKS_BACK_SHORTLY = 2_000
"""So many for what is said beside something else."""
Month = tuple[int, int]
"""Year and month."""


@dataclass(frozen=True)
class Wanted:
    """Which uses are looked for; what is empty does not narrow. ``until`` is the first moment after."""

    agency: str = ""
    purpose: str = ""
    basis: str = ""
    channel: Channel | None = None
    attribute: str = ""
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions on rows of ``data_use``."""
        columns = data_use.c
        found = [
            columns.client_id == self.agency if self.agency else None,
            columns.purpose == self.purpose if self.purpose else None,
            columns.legal_basis == self.basis if self.basis else None,
            columns.channel == self.channel.value if self.channel else None,
            columns.outcome == self.outcome.value if self.outcome else None,
            _names(self.attribute) if self.attribute else None,
            columns.at >= self.since if self.since else None,
            columns.at < self.until if self.until else None,
        ]
        return [condition for condition in found if condition is not None]

    def fits(self, entry: UseEntry) -> bool:
        """True when an entry is wanted, just as by the ``conditions``."""
        use = entry.use
        return (
            self.agency in ("", use.client_id)
            and self.purpose in ("", use.purpose)
            and self.basis in ("", use.legal_basis)
            and self.channel in (None, use.channel)
            and self.outcome in (None, use.outcome)
            and (not self.attribute or self.attribute in use.attributes)
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
        )


@dataclass
class Agency:
    """What one agency did lately: how often it used which attributes, and when first and last."""

    client_id: str
    first: datetime
    last: datetime
    uses: int = 0
    refused: int = 0
    attributes: Counter[str] = field(default_factory=Counter)
    last_of: dict[str, datetime] = field(default_factory=dict)


@dataclass
class Months:
    """Uses and attributes month by month, of the latest ``LOOKS_BACK`` at most."""

    by_agency: dict[str, Counter[Month]] = field(default_factory=dict)
    by_attribute: dict[str, Counter[Month]] = field(default_factory=dict)
    is_whole: bool = True


class History:
    """One subject's record of uses; those by agencies of any attribute in ``without`` are as if they were
    not. What the provider itself did names every attribute that an account has, so it tells nothing.
    """

    def __init__(
        self,
        db: Connection,
        subject_id: str,
        old: Old | None = None,
        *,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self._db = db
        self._subject_id = subject_id
        self._old = old
        self._without = without
        self._mine = (
            data_use.c.subject_id == subject_id,
            *(
                (data_use.c.client_id == PROVIDER) | ~_names(attribute)
                for attribute in sorted(without)
            ),
        )

    def page(self, wanted: Wanted, *, before: int | None = None, limit: int = 50) -> list[UseEntry]:
        """Return entries newest first; ``before`` is the position to continue below. A page ends where the
        archive begins (``old_from``); only an empty one is the last.

        Raises:
            ArchiveError: it is of the archive, and a file is missing or damaged.
        """
        place = () if before is None else (data_use.c.position < before,)
        rows = self._db.execute(
            select(data_use)
            .where(*self._mine, *wanted.conditions, *place)
            .order_by(data_use.c.position.desc())
            .limit(limit)
        )
        found = [entry_of(row) for row in rows]
        return found or list(islice(self._older(wanted, below=before), limit))

    def old_from(self, position: int) -> int | None:
        """Return before which position to continue in the archive, after a page of the database's that
        ended with this position and was its last; None where there is nothing more.
        """
        after, begin = old_positions(self._db, self._subject_id)
        return begin if self._old is not None and begin - after > 1 and position >= begin else None

    def _older(self, wanted: Wanted, *, below: int | None = None) -> Iterator[UseEntry]:
        """Yield what the archive holds of what is wanted and not left out, newest first."""
        found = older_entries(
            self._db,
            self._old,
            self._subject_id,
            below=below,
            since=wanted.since,
            until=wanted.until,
        )
        for entry in found:
            is_told = entry.use.client_id == PROVIDER or not self._without.intersection(
                entry.use.attributes
            )
            if is_told and wanted.fits(entry):
                yield entry

    def all(self, wanted: Wanted) -> Iterator[UseEntry]:
        """Yield entries newest first, however many there are."""
        before: int | None = None
        while page := self.page(wanted, before=before, limit=_A_TURN):
            yield from page
            before = page[-1].position

    def entry(self, position: int) -> UseEntry | None:
        """Return the entry at a place of the chain."""
        row = self._db.execute(
            select(data_use).where(*self._mine, data_use.c.position == position)
        ).first()
        if row is not None:
            return entry_of(row)
        found = find_old(self._db, self._old, self._subject_id, position)
        if found is None or (
            found.use.client_id != PROVIDER and self._without.intersection(found.use.attributes)
        ):
            return None
        return found

    def first_of(self, client_id: str) -> UseEntry | None:
        """Return the oldest use by an agency that is still kept."""
        oldest = None
        for oldest in self._older(Wanted(agency=client_id)):  # noqa: B007 - the last is meant
            pass
        if oldest is not None:
            return oldest
        row = self._db.execute(
            select(data_use)
            .where(*self._mine, data_use.c.client_id == client_id)
            .order_by(data_use.c.position)
            .limit(1)
        ).first()
        return None if row is None else entry_of(row)

    def agencies(self, latest: int = LOOKS_BACK, *, with_old: bool = True) -> list[Agency]:
        """Return the agencies of so many latest uses, who used data last first; of those that the
        database holds only, unless ``with_old``.
        """
        found: dict[str, Agency] = {}
        for row in self._latest(latest):
            one = found.setdefault(row.client_id, Agency(row.client_id, row.at, row.at))
            one.first = row.at
            if row.outcome == Outcome.REFUSED.value:
                one.refused += 1
                continue
            one.uses += 1
            for name in orjson.loads(row.attributes):
                one.attributes[name] += 1
                one.last_of.setdefault(name, row.at)
        if with_old:
            self._add_older(found, latest)
        return list(found.values())

    def _add_older(self, found: dict[str, Agency], latest: int) -> None:
        end = self._db.execute(
            select(subject_chain.c.length).where(subject_chain.c.subject_id == self._subject_id)
        ).scalar()
        for entry in self._older(Wanted()):
            if entry.position <= (end or 0) - latest:
                return
            use = entry.use
            one = found.setdefault(use.client_id, Agency(use.client_id, entry.at, entry.at))
            one.first = entry.at
            if use.outcome is Outcome.REFUSED:
                one.refused += 1
                continue
            one.uses += 1
            for name in use.attributes:
                one.attributes[name] += 1
                one.last_of.setdefault(name, entry.at)

    def by_agency(self, wanted: Wanted) -> dict[str, int]:
        """Count released uses of personal data by agency, of those that the database holds."""
        columns = data_use.c
        rows = self._db.execute(
            select(columns.client_id, func.count().label("uses"))
            .where(
                *self._mine,
                columns.personal,
                columns.outcome == Outcome.RELEASED.value,
                *wanted.conditions,
            )
            .group_by(columns.client_id)
        )
        return {row.client_id: row.uses for row in rows}

    def months(self, since: datetime, zone: tzinfo, agency: str = "") -> Months:
        """Count released uses of personal data since a moment, by month of the time zone, of those that
        the database holds: no month of the last twelve is in the archive.
        """
        told = Months()
        looked_at = 0
        for row in self._latest(LOOKS_BACK):
            looked_at += 1
            if row.at < since:
                return told
            if not row.personal or row.outcome != Outcome.RELEASED.value:
                continue
            if agency and row.client_id != agency:
                continue
            local = row.at.astimezone(zone)
            month = local.year, local.month
            told.by_agency.setdefault(row.client_id, Counter())[month] += 1
            for name in orjson.loads(row.attributes):
                if name != "sub":
                    told.by_attribute.setdefault(name, Counter())[month] += 1
        told.is_whole = looked_at < LOOKS_BACK
        return told

    def _latest(self, most: int) -> Iterator[Any]:
        columns = data_use.c
        length = select(subject_chain.c.length).where(
            subject_chain.c.subject_id == self._subject_id
        )
        yield from self._db.execute(
            select(
                columns.client_id,
                columns.at,
                columns.attributes,
                columns.outcome,
                columns.personal,
            )
            .where(
                *self._mine,
                columns.position > length.scalar_subquery() - most,
            )
            .order_by(columns.position.desc())
        )


def _names(attribute: str) -> ColumnElement[bool]:
    """Return the condition that a use is of the attribute: names are quoted in the column, so none is
    found inside another.
    """
    return data_use.c.attributes.contains(f'"{attribute}"', autoescape=True)
