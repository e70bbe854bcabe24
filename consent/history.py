"""Reading the log of uses as people do: narrowed, one by one, month by month, agency by agency.

It only reads. What concerns a whole record looks at the latest uses only, so that a page of somebody
with a very long record costs no more than another's.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo

import orjson
from sqlalchemy import ColumnElement, Connection, case, func, select

from consent.data_use import (
    ENTRIES,
    PROVIDER,
    Channel,
    Outcome,
    UseEntry,
    data_use,
    entry_of,
    select_entries,
    subject_chain,
)
from consent.use_terms import use_terms

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
        """The conditions on rows of ``ENTRIES``."""
        columns = use_terms.c
        found = [
            columns.client_id == self.agency if self.agency else None,
            columns.purpose == self.purpose if self.purpose else None,
            columns.legal_basis == self.basis if self.basis else None,
            columns.channel == self.channel.value if self.channel else None,
            columns.outcome == self.outcome.value if self.outcome else None,
            _names(self.attribute) if self.attribute else None,
            data_use.c.at >= self.since if self.since else None,
            data_use.c.at < self.until if self.until else None,
        ]
        return [condition for condition in found if condition is not None]


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
        self, db: Connection, subject_id: str, *, without: frozenset[str] = frozenset()
    ) -> None:
        self._db = db
        self._subject_id = subject_id
        self._mine = (
            data_use.c.subject_id == subject_id,
            *(
                (use_terms.c.client_id == PROVIDER) | ~_names(attribute)
                for attribute in sorted(without)
            ),
        )

    def page(self, wanted: Wanted, *, before: int | None = None, limit: int = 50) -> list[UseEntry]:
        """Return entries newest first; ``before`` is the position to continue below."""
        place = () if before is None else (data_use.c.position < before,)
        rows = self._db.execute(
            select_entries()
            .where(*self._mine, *wanted.conditions, *place)
            .order_by(data_use.c.position.desc())
            .limit(limit)
        )
        return [entry_of(row) for row in rows]

    def all(self, wanted: Wanted) -> Iterator[UseEntry]:
        """Yield entries newest first, however many there are."""
        before: int | None = None
        while page := self.page(wanted, before=before, limit=_A_TURN):
            yield from page
            before = page[-1].position

    def entry(self, position: int) -> UseEntry | None:
        """Return the entry at a place of the chain."""
        row = self._db.execute(
            select_entries().where(*self._mine, data_use.c.position == position)
        ).first()
        return None if row is None else entry_of(row)

    def first_of(self, client_id: str) -> UseEntry | None:
        """Return the oldest use by an agency that is still kept."""
        row = self._db.execute(
            select_entries()
            .where(*self._mine, use_terms.c.client_id == client_id)
            .order_by(data_use.c.position)
            .limit(1)
        ).first()
        return None if row is None else entry_of(row)

    def agencies(self, latest: int = LOOKS_BACK) -> list[Agency]:
        """Return the agencies of so many latest uses, who used data last first."""
        shared, at = use_terms.c, data_use.c.at
        rows = self._db.execute(
            select(
                shared.client_id,
                shared.outcome,
                shared.attributes,
                func.count().label("uses"),
                func.min(at).label("first"),
                func.max(at).label("last"),
            )
            .select_from(ENTRIES)
            .where(*self._mine, self._is_among(latest))
            .group_by(shared.id)
        )
        found: dict[str, Agency] = {}
        for row in rows:
            one = found.setdefault(row.client_id, Agency(row.client_id, row.first, row.last))
            one.first, one.last = min(one.first, row.first), max(one.last, row.last)
            if row.outcome == Outcome.REFUSED.value:
                one.refused += row.uses
                continue
            one.uses += row.uses
            for name in orjson.loads(row.attributes):
                one.attributes[name] += row.uses
                one.last_of[name] = max(row.last, one.last_of.get(name, row.last))
        return sorted(found.values(), key=lambda one: one.last, reverse=True)

    def by_agency(self, wanted: Wanted) -> dict[str, int]:
        """Count released uses of personal data by agency."""
        columns = use_terms.c
        rows = self._db.execute(
            select(columns.client_id, func.count().label("uses"))
            .select_from(ENTRIES)
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
        """Count released uses of personal data since a moment, by month of the time zone."""
        told = Months()
        end = self._db.execute(
            select(subject_chain.c.length, subject_chain.c.latest_at).where(
                subject_chain.c.subject_id == self._subject_id
            )
        ).first()
        if end is None:
            return told
        shared, begins = use_terms.c, _months(since.astimezone(zone), end.latest_at)
        number = case(
            *((data_use.c.at >= begins[n], n) for n in range(len(begins) - 1, 0, -1)), else_=0
        )
        month = number.label("month")
        rows = self._db.execute(
            select(shared.client_id, shared.attributes, month, func.count().label("uses"))
            .select_from(ENTRIES)
            .where(
                *self._mine,
                self._is_among(LOOKS_BACK),
                data_use.c.at >= since,
                shared.personal,
                shared.outcome == Outcome.RELEASED.value,
                *((shared.client_id == agency,) if agency else ()),
            )
            .group_by(shared.id, month)
        )
        for row in rows:
            local = begins[row.month]
            of = local.year, local.month
            told.by_agency.setdefault(row.client_id, Counter())[of] += row.uses
            for name in orjson.loads(row.attributes):
                if name != "sub":
                    told.by_attribute.setdefault(name, Counter())[of] += row.uses
        left_out = self.entry(end.length - LOOKS_BACK)
        told.is_whole = left_out is None or left_out.at < since
        return told

    def _is_among(self, latest: int) -> ColumnElement[bool]:
        """Return the condition that an entry is among so many latest ones."""
        length = select(subject_chain.c.length).where(
            subject_chain.c.subject_id == self._subject_id
        )
        return data_use.c.position > length.scalar_subquery() - latest


def _months(since: datetime, until: datetime) -> list[datetime]:
    """Return the first moments of the months from one moment's to another's, in the former's zone."""
    begin = since.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = [begin]
    while (begin := (begin + timedelta(days=32)).replace(day=1)) <= until:
        found.append(begin)
    return found


def _names(attribute: str) -> ColumnElement[bool]:
    """Return the condition that a use is of the attribute: names are quoted in the column, so none is
    found inside another.
    """
    return use_terms.c.attributes.contains(f'"{attribute}"', autoescape=True)
