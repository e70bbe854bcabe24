"""Reading the log of uses as people do: narrowed, one by one, month by month, agency by agency.

It only reads. What concerns a whole record looks at the latest uses only, so that a page of somebody
with a very long record costs no more than another's. What is older than the database comes from the
archive, on pages of its own: the newest uses never wait for a file.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    Subquery,
    bindparam,
    case,
    func,
    literal_column,
    select,
)

from accounts.schema import Identifier, UTCDateTime
from accounts.statements import Statement
from consent.data_use import (
    PROVIDER,
    WITHOUT_MEANING,
    Channel,
    Outcome,
    UseEntry,
    data_use,
    entry_of,
    select_entries,
    subject_chain,
)
from consent.old_uses import Old, find_old, old_positions, older_entries
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
    def what(self) -> list[ColumnElement[bool]]:
        """The conditions on terms."""
        columns = use_terms.c
        found = [
            columns.client_id == self.agency if self.agency else None,
            columns.purpose == self.purpose if self.purpose else None,
            columns.legal_basis == self.basis if self.basis else None,
            columns.channel == self.channel.value if self.channel else None,
            columns.outcome == self.outcome.value if self.outcome else None,
            _names(self.attribute) if self.attribute else None,
        ]
        return [condition for condition in found if condition is not None]

    @property
    def when(self) -> list[ColumnElement[bool]]:
        """The conditions on entries' moments."""
        at = data_use.c.at
        found = [at >= self.since if self.since else None, at < self.until if self.until else None]
        return [condition for condition in found if condition is not None]

    def fits(self, entry: UseEntry) -> bool:
        """True when an entry is wanted, just as by ``what`` and ``when``."""
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


_ALL = Wanted()
_BEYOND = 2**31 - 1
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)

_OWN = data_use.c.subject_id == bindparam("subject", type_=Identifier)
_LONG = 1_000


@cache
def _newest(limit: int) -> Statement:
    """Return the statement for so many of the newest entries below a position.

    A person's latest uses are what is looked at most. To plan it anew, over a table a month, costs
    PostgreSQL three times as much as to find them.
    """
    return Statement(
        select_entries()
        .where(_OWN, data_use.c.position < bindparam("before", type_=Integer))
        .order_by(data_use.c.position.desc())
        # Spelled out, since a plan that is kept knows no parameter's value.
        .limit(literal_column(str(limit))),
        plan_kept=True,
    )


def _counted(*conditions: ColumnElement[bool], month: ColumnElement[int] | None = None) -> Subquery:
    """Return the query that counts entries by their terms, and by month.

    What terms say is joined to the few rows that come of it: asked in one go, PostgreSQL may read
    all entries once for each of the terms.
    """
    by = (data_use.c.terms, *(() if month is None else (month.label("month"),)))
    at = data_use.c.at
    figures = (
        func.count().label("uses"),
        func.min(at).label("first"),
        func.max(at).label("last"),
    )
    return select(*by, *figures).where(*conditions).group_by(*by).subquery("counted")


class _Count:
    """A query that counts one record's entries. Its plan is kept; for a long record it is made anew, as
    then it has to be one for many entries.
    """

    def __init__(self, query: Select[Any]) -> None:
        self._query = query
        self._kept = Statement(query, plan_kept=True)

    def rows(self, db: Connection, asked: Mapping[str, Any], length: int) -> Sequence[Any]:
        if length <= _LONG:
            return self._kept.all(db, asked)
        return db.execute(self._query, asked).all()


_end = Statement(
    select(subject_chain.c.length, subject_chain.c.latest_at).where(
        subject_chain.c.subject_id == bindparam("subject")
    )
)
_of_agencies = _counted(_OWN, data_use.c.position > bindparam("above", type_=Integer))
_agencies = _Count(
    select(
        use_terms.c.client_id,
        use_terms.c.outcome,
        use_terms.c.attributes,
        *(_of_agencies.c[name] for name in ("uses", "first", "last")),
    ).join(_of_agencies, _of_agencies.c.terms == use_terms.c.id)
)


@cache
def _months(count: int) -> _Count:
    """Return the query for the uses of so many months, two at least."""
    at = data_use.c.at
    begins = [bindparam(f"month_{number}", type_=UTCDateTime) for number in range(count)]
    counted = _counted(
        _OWN,
        data_use.c.position > bindparam("above", type_=Integer),
        at >= bindparam("since", type_=UTCDateTime),
        month=case(
            *((at >= begins[number], number) for number in range(count - 1, 0, -1)), else_=0
        ),
    )
    return _Count(
        select(use_terms.c.client_id, use_terms.c.attributes, counted.c.month, counted.c.uses)
        .join(counted, counted.c.terms == use_terms.c.id)
        .where(use_terms.c.personal, use_terms.c.outcome == Outcome.RELEASED.value)
    )


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
        self._own = data_use.c.subject_id == subject_id
        self._shown = tuple(
            (use_terms.c.client_id == PROVIDER) | ~_names(attribute)
            for attribute in sorted(without)
        )
        self._mine = (self._own, *self._shown)

    def page(self, wanted: Wanted, *, before: int | None = None, limit: int = 50) -> list[UseEntry]:
        """Return entries newest first; ``before`` is the position to continue below. A page ends where the
        archive begins (``old_from``); only an empty one is the last.

        Raises:
            ArchiveError: it is of the archive, and a file is missing or damaged.
        """
        found = self._page_here(wanted, before, limit)
        return found or list(islice(self._older(wanted, below=before), limit))

    def _page_here(self, wanted: Wanted, before: int | None, limit: int) -> list[UseEntry]:
        if wanted == _ALL and not self._without:
            place = {"subject": self._subject_id, "before": _BEYOND if before is None else before}
            return [entry_of(row) for row in _newest(limit).all(self._db, place)]
        below = () if before is None else (data_use.c.position < before,)
        rows = self._db.execute(
            select_entries()
            .where(*self._mine, *wanted.what, *wanted.when, *below)
            .order_by(data_use.c.position.desc())
            .limit(limit)
        )
        return [entry_of(row) for row in rows]

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
            if self._may_tell(entry.use.client_id, entry.use.attributes) and wanted.fits(entry):
                yield entry

    def all(self, wanted: Wanted) -> Iterator[UseEntry]:
        """Yield entries newest first, however many there are.

        Raises:
            ArchiveError: a file of the archive is missing or damaged.
        """
        before: int | None = None
        while page := self._page_here(wanted, before, _A_TURN):
            yield from page
            before = page[-1].position
        yield from self._older(wanted, below=before)

    def entry(self, position: int) -> UseEntry | None:
        """Return the entry at a place of the chain.

        Raises:
            ArchiveError: it is in the archive, and the file is missing or damaged.
        """
        row = self._db.execute(
            select_entries().where(*self._mine, data_use.c.position == position)
        ).first()
        if row is not None:
            return entry_of(row)
        found = find_old(self._db, self._old, self._subject_id, position)
        return (
            found
            if found is not None and self._may_tell(found.use.client_id, found.use.attributes)
            else None
        )

    def first_of(self, client_id: str) -> UseEntry | None:
        """Return the oldest use by an agency that is still kept.

        Raises:
            ArchiveError: a file of the archive is missing or damaged.
        """
        oldest = None
        for oldest in self._older(Wanted(agency=client_id)):  # noqa: B007 - the last is meant
            pass
        if oldest is not None:
            return oldest
        row = self._db.execute(
            select_entries()
            .where(*self._mine, use_terms.c.client_id == client_id)
            .order_by(data_use.c.position)
            .limit(1)
        ).first()
        return None if row is None else entry_of(row)

    def agencies(self, latest: int = LOOKS_BACK, *, with_old: bool = True) -> list[Agency]:
        """Return the agencies of so many latest uses, who used data last first; only of those that the
        database holds, unless ``with_old``.

        Raises:
            ArchiveError: a file of the archive is missing or damaged.
        """
        length = self._length()
        asked = {"subject": self._subject_id, "above": length - latest}
        found: dict[str, Agency] = {}
        for row in _agencies.rows(self._db, asked, length):
            names = _names_in(row.attributes)
            if not self._may_tell(row.client_id, names):
                continue
            one = found.setdefault(row.client_id, Agency(row.client_id, row.first, row.last))
            one.first, one.last = min(one.first, row.first), max(one.last, row.last)
            if row.outcome == Outcome.REFUSED.value:
                one.refused += row.uses
                continue
            one.uses += row.uses
            for name in names:
                one.attributes[name] += row.uses
                one.last_of[name] = max(row.last, one.last_of.get(name, row.last))
        if with_old:
            self._add_older(found, latest)
        return sorted(found.values(), key=lambda one: one.last, reverse=True)

    def _add_older(self, found: dict[str, Agency], latest: int) -> None:
        least = self._length() - latest
        for entry in self._older(Wanted()):
            if entry.position <= least:
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
        counted, shared = _counted(self._own, *wanted.when), use_terms.c
        rows = self._db.execute(
            select(shared.client_id, func.sum(counted.c.uses).label("uses"))
            .join(counted, counted.c.terms == shared.id)
            .where(
                *self._shown,
                shared.personal,
                shared.outcome == Outcome.RELEASED.value,
                *wanted.what,
            )
            .group_by(shared.client_id)
        )
        return {row.client_id: int(row.uses) for row in rows}

    def months(self, since: datetime, zone: tzinfo, agency: str = "") -> Months:
        """Count released uses of personal data since a moment, by month of the time zone, of those that
        the database holds: no month of the last twelve is in the archive.
        """
        told = Months()
        end = _end.first(self._db, {"subject": self._subject_id})
        if end is None:
            return told
        above = end.length - LOOKS_BACK
        if above > 0:
            left_out = select(data_use.c.at).where(
                self._own, data_use.c.position == above, data_use.c.at >= since
            )
            newest = self._db.execute(left_out).scalar()
            if newest is not None:
                told.is_whole, since = False, newest
        begins = _months_between(since.astimezone(zone), end.latest_at)
        begins += [_NEVER] * (2 - len(begins))
        asked = {"subject": self._subject_id, "since": since, "above": above}
        asked |= {f"month_{number}": begin for number, begin in enumerate(begins)}
        for row in _months(len(begins)).rows(self._db, asked, end.length):
            names = _names_in(row.attributes)
            if (agency and row.client_id != agency) or not self._may_tell(row.client_id, names):
                continue
            local = begins[row.month]
            of = local.year, local.month
            told.by_agency.setdefault(row.client_id, Counter())[of] += row.uses
            for name in names:
                if name not in WITHOUT_MEANING:
                    told.by_attribute.setdefault(name, Counter())[of] += row.uses
        return told

    def _length(self) -> int:
        end = _end.first(self._db, {"subject": self._subject_id})
        return 0 if end is None else int(end.length)

    def _may_tell(self, client_id: str, attributes: Iterable[str]) -> bool:
        """True of what is not left out (``without``), just as in ``_mine``."""
        return client_id == PROVIDER or not self._without.intersection(attributes)


def _months_between(since: datetime, until: datetime) -> list[datetime]:
    """Return the first moments of the months from one moment's to another's, in the former's zone."""
    begin = since.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = [begin]
    while (begin := (begin + timedelta(days=32)).replace(day=1)) <= until:
        found.append(begin)
    return found


@lru_cache(maxsize=2_000)
def _names_in(attributes: str) -> tuple[str, ...]:
    """Return the names that a use's terms spell."""
    return tuple(orjson.loads(attributes))


def _names(attribute: str) -> ColumnElement[bool]:
    """Return the condition that a use is of the attribute: names are quoted in the column, so none is
    found inside another.
    """
    return use_terms.c.attributes.contains(f'"{attribute}"', autoescape=True)
