"""Daily reconciliation: the record of uses, laid beside what registers and relying parties hold.

What somebody else holds and the record does not is a release that was never logged, or one that was
taken out again before anybody saw it: no log can show that, and this does. What only the record holds
was not received, or is not told. Days are of UTC.
"""

import hashlib
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

import orjson
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.base64url import base64url
from accounts.schema import Clock, UTCDateTime, metadata
from consent.data_use import ENTRIES, Channel, Outcome, UseEntry, data_use
from consent.use_terms import use_terms

RELEASES = (Channel.ID_TOKEN, Channel.USERINFO, Channel.INTROSPECTION, Channel.SEALED)
"""The channels for which relying parties hold receipts from the answers themselves."""
REPORTED_WITHIN = timedelta(days=35)
"""So long after a day a relying party may still say what it holds of it."""
_GAPS_KEPT = 100
_MANY = 500


class Kind(StrEnum):
    """What the other side is."""

    REGISTER = "register"
    RELYING_PARTY = "relying-party"


held_report = Table(
    "held_report",
    metadata,
    Column("client_id", String(255), nullable=False),
    Column("day", String(10), nullable=False),
    Column("told_at", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("client_id", "day"),
)

held_receipt = Table(
    "held_receipt",
    metadata,
    Column("client_id", String(255), nullable=False),
    Column("day", String(10), nullable=False),
    Column("commitment", String(43), nullable=False),
    PrimaryKeyConstraint("client_id", "day", "commitment"),
)

reconciliation = Table(
    "reconciliation",
    metadata,
    Column("day", String(10), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("party", String(255), nullable=False),
    Column("ours", Integer, nullable=False),
    # Empty where the other side told nothing.
    Column("theirs", Integer),
    Column("unlogged", Integer, nullable=False),
    Column("unconfirmed", Integer, nullable=False),
    Column("made_at", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("day", "kind", "party"),
)

reconciliation_gap = Table(
    "reconciliation_gap",
    metadata,
    Column("day", String(10), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("party", String(255), nullable=False),
    Column("number", Integer, nullable=False),
    Column("commitment", String(43), nullable=False),
    PrimaryKeyConstraint("day", "kind", "party", "number"),
)


@dataclass(frozen=True)
class Comparison:
    """One other side on one day, counted in entries.

    ``theirs`` is None where it told nothing. ``unlogged`` are those that it holds and the record does
    not: an alarm. ``unconfirmed`` are those that only the record has. ``gaps`` name unlogged ones by
    the commitment that the other side holds, empty for an answer without any receipt.
    """

    kind: Kind
    party: str
    ours: int
    theirs: int | None
    unlogged: int
    unconfirmed: int
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reconciled:
    """The result of one day."""

    day: date
    made_at: datetime
    comparisons: tuple[Comparison, ...]

    @property
    def unlogged(self) -> int:
        """How many releases others hold of which the record knows nothing."""
        return sum(one.unlogged for one in self.comparisons)

    @property
    def silent(self) -> tuple[str, ...]:
        """Who told nothing of the day, although the record has uses by it."""
        return tuple(one.party for one in self.comparisons if one.theirs is None and one.ours)

    @property
    def statement(self) -> dict[str, object]:
        """What the policy log makes public: no counts of uses, but who holds what is not recorded,
        and a hash over the whole result.
        """
        whole = [
            [one.kind.value, one.party, one.ours, one.theirs, one.unlogged, one.unconfirmed]
            for one in self.comparisons
        ]
        return {
            "compared": sum(one.theirs is not None for one in self.comparisons),
            "silent": sum(one.theirs is None for one in self.comparisons),
            "unlogged": {one.party: one.unlogged for one in self.comparisons if one.unlogged},
            "sha256": hashlib.sha256(orjson.dumps(whole)).hexdigest(),
        }


@dataclass(frozen=True)
class OldDay:
    """A day that the database does not have any more: its entries, and the commitments of which nobody
    can tell of which day and whose answers they are; they are recorded, whatever they say.
    """

    entries: Iterable[UseEntry]
    untold: Collection[bytes] = ()


def compare(
    kind: Kind,
    party: str,
    ours: set[str],
    theirs: Iterable[str] | None,
    untold: Container[str] = frozenset(),
) -> Comparison:
    """Compare what the record has of a day with what the other side holds, by commitments. Those of
    ``untold`` are recorded, but nobody can tell of which day or side.
    """
    if theirs is None:
        return Comparison(kind, party, len(ours), None, 0, 0)
    listed = list(theirs)
    unlogged = sorted(one for one in listed if one not in ours and one not in untold)
    missing = len(ours - set(listed))
    return Comparison(
        kind, party, len(ours), len(listed), len(unlogged), missing, tuple(unlogged[:_GAPS_KEPT])
    )


def _recorded_of(old: OldDay) -> dict[tuple[Kind, str], set[str]]:
    counted = {*RELEASES, Channel.CONNECTOR_PULL}
    return _by_side(
        (one.use.client_id, one.use.channel, one.use.detail, one.commitment)
        for one in old.entries
        if one.use.outcome is Outcome.RELEASED and one.use.channel in counted
    )


def _by_side(
    entries: Iterable[tuple[str, str, Mapping[str, str], bytes]],
) -> dict[tuple[Kind, str], set[str]]:
    """Return commitments by who should hold them, from client, channel, detail and commitment."""
    found: dict[tuple[Kind, str], set[str]] = {}
    for client_id, channel, detail, commitment in entries:
        side = (Kind.RELYING_PARTY, client_id)
        if channel == Channel.CONNECTOR_PULL.value:
            if not detail:
                continue  # of before receipts: no register has one
            side = (Kind.REGISTER, detail["register"])
        found.setdefault(side, set()).add(base64url(commitment))
    return found


class Reconciliations:
    """What relying parties hold, what the record has, and what comparing them came to."""

    def __init__(self, db: Connection, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def take_held(self, client_id: str, day: date, commitments: Iterable[str]) -> int:
        """Take a relying party's word on what it got on a day, part by part; return how many it has
        told of by now. What was told stays.
        """
        dialect = postgresql if self._db.dialect.name == "postgresql" else sqlite
        told = day.isoformat()
        self._db.execute(
            dialect.insert(held_report)
            .values(client_id=client_id, day=told, told_at=self._clock())
            .on_conflict_do_nothing()
        )
        rows = [
            {"client_id": client_id, "day": told, "commitment": one}
            for one in dict.fromkeys(commitments)
        ]
        for begin in range(0, len(rows), _MANY):
            statement = dialect.insert(held_receipt).on_conflict_do_nothing()
            self._db.execute(statement, rows[begin : begin + _MANY])
        return len(self._held(client_id, told))

    def held(self, day: date) -> dict[str, list[str]]:
        """Return what relying parties said that they hold of a day, by client id."""
        told = day.isoformat()
        known = self._db.execute(
            select(held_report.c.client_id).where(held_report.c.day == told)
        ).scalars()
        return {client_id: self._held(client_id, told) for client_id in known.all()}

    def recorded(self, day: date) -> dict[tuple[Kind, str], set[str]]:
        """Return the commitments of the day's entries, by the other side that should hold them."""
        begin = datetime.combine(day, time.min, UTC)
        own, shared = data_use.c, use_terms.c
        rows = self._db.execute(
            select(shared.client_id, shared.channel, own.detail, own.commitment)
            .select_from(ENTRIES)
            .where(
                own.at >= begin,
                own.at < begin + timedelta(days=1),
                shared.outcome == Outcome.RELEASED.value,
                shared.channel.in_([*(one.value for one in RELEASES), Channel.CONNECTOR_PULL]),
            )
            .execution_options(yield_per=1000)
        )
        return _by_side(
            (
                row.client_id,
                row.channel,
                orjson.loads(row.detail) if row.detail else {},
                row.commitment,
            )
            for row in rows
        )

    def run(
        self,
        day: date,
        registers: Mapping[str, Iterable[str] | None],
        old: OldDay | None = None,
    ) -> Reconciled:
        """Compare a day with what the registers list (None: no answer) and relying parties hold, and
        keep the result in place of an earlier one. What relying parties told is forgotten after
        ``REPORTED_WITHIN``; of then on what it once came to stays. ``old`` is a day that the
        database does not have any more.
        """
        recorded, held = self.recorded(day) if old is None else _recorded_of(old), self.held(day)
        untold = {base64url(one) for one in old.untold} if old else set[str]()
        before = self.of(day)
        earlier = {
            one.party: one
            for one in (before.comparisons if before else ())
            if one.kind is Kind.RELYING_PARTY and one.theirs is not None and one.party not in held
        }
        sides = {(Kind.REGISTER, name) for name in registers} | recorded.keys()
        sides |= {(Kind.RELYING_PARTY, client_id) for client_id in (*held, *earlier)}
        result = Reconciled(
            day,
            self._clock(),
            tuple(
                earlier[party]
                if kind is Kind.RELYING_PARTY and party in earlier
                else compare(
                    kind,
                    party,
                    recorded.get((kind, party), set()),
                    registers.get(party) if kind is Kind.REGISTER else held.get(party),
                    untold,
                )
                for kind, party in sorted(sides)
            ),
        )
        self._keep(result)
        return result

    def of(self, day: date) -> Reconciled | None:
        """Return the result of a day, if it was compared."""
        found = self.since(day, until=day)
        return found[0] if found else None

    def since(self, first: date, until: date | None = None) -> list[Reconciled]:
        """Return the results of the days from ``first`` on, oldest first."""
        table = reconciliation
        query = select(table).where(table.c.day >= first.isoformat())
        if until is not None:
            query = query.where(table.c.day <= until.isoformat())
        days: dict[str, list[Comparison]] = {}
        made: dict[str, datetime] = {}
        gaps = self._gaps(first)
        for row in self._db.execute(query.order_by(table.c.day, table.c.kind, table.c.party)):
            made[row.day] = row.made_at
            compared = days.setdefault(row.day, [])
            if row.party:
                compared.append(
                    Comparison(
                        Kind(row.kind), row.party, row.ours, row.theirs, row.unlogged,
                        row.unconfirmed, tuple(gaps.get((row.day, row.kind, row.party), ())),
                    )
                )  # fmt: skip
        return [
            Reconciled(date.fromisoformat(day), made[day], tuple(compared))
            for day, compared in days.items()
        ]

    def purge(self, before: date) -> int:
        """Forget what relying parties said they hold of days before one; return how many it was."""
        mine = held_report.c.day < before.isoformat()
        self._db.execute(delete(held_receipt).where(held_receipt.c.day < before.isoformat()))
        return self._db.execute(delete(held_report).where(mine)).rowcount

    def _held(self, client_id: str, day: str) -> list[str]:
        mine = (held_receipt.c.client_id == client_id, held_receipt.c.day == day)
        return list(self._db.execute(select(held_receipt.c.commitment).where(*mine)).scalars())

    def _gaps(self, first: date) -> dict[tuple[str, str, str], list[str]]:
        table = reconciliation_gap
        rows = self._db.execute(
            select(table).where(table.c.day >= first.isoformat()).order_by(table.c.number)
        )
        found: dict[tuple[str, str, str], list[str]] = {}
        for row in rows:
            found.setdefault((row.day, row.kind, row.party), []).append(row.commitment)
        return found

    def _keep(self, result: Reconciled) -> None:
        day = result.day.isoformat()
        for table in (reconciliation, reconciliation_gap):
            self._db.execute(delete(table).where(table.c.day == day))
        rows: list[dict[str, object]] = [
            {
                "day": day, "kind": one.kind.value, "party": one.party, "ours": one.ours,
                "theirs": one.theirs, "unlogged": one.unlogged, "unconfirmed": one.unconfirmed,
                "made_at": result.made_at,
            }
            for one in result.comparisons
        ]  # fmt: skip
        # A day on which nothing happened was compared too.
        nothing: dict[str, object] = {
            "day": day, "kind": "", "party": "", "ours": 0, "theirs": None, "unlogged": 0,
            "unconfirmed": 0, "made_at": result.made_at,
        }  # fmt: skip
        self._db.execute(insert(reconciliation), rows or [nothing])
        gaps = [
            {"day": day, "kind": one.kind.value, "party": one.party, "number": number,
             "commitment": gap}
            for one in result.comparisons
            for number, gap in enumerate(one.gaps)
        ]  # fmt: skip
        if gaps:
            self._db.execute(insert(reconciliation_gap), gaps)
