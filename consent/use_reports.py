"""Secondary uses: what an agency says it did later with data that it got here.

A report cites the receipt of the original release by its place in the published log, so it is found
without looking for it; it can name no attribute that was not released then. Each becomes an entry in the
person's chain. It is the agency's word: signed or authenticated, and not verified.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Index,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    distinct,
    func,
    insert,
    select,
)

from accounts.base64url import base64url
from accounts.schema import Clock, UTCDateTime, metadata
from consent.data_use import Channel, Outcome, Recorded, Use, UseEntry
from consent.errors import ConsentError
from consent.ledger.tiles import WIDTH
from consent.log_state import STREAM, STREAM_BYTES, LogState, span_of
from consent.purposes import LEGAL_BASES, PURPOSES
from consent.use_log import UseLog
from consent.use_receipts import use_receipt

MOST_ITEMS = 1000
_LEAD = timedelta(minutes=5)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}", re.ASCII)
_LOG = re.compile(r"entries/[0-9]{4}-[0-9]{2}/[0-9]{1,4}", re.ASCII)
_MEMBERS = frozenset(
    {"id", "receipt", "action", "attributes", "purpose", "basis", "actor", "recipient", "at"}
)


class Action(StrEnum):
    """What was done with the data."""

    USE = "use"
    SHARE = "share"
    DERIVE = "derive"
    TRANSFER = "transfer"
    """Out of the country."""
    ERASE = "erase"


_TO_OTHERS = frozenset({Action.SHARE, Action.TRANSFER})

use_report = Table(
    "use_report",
    metadata,
    Column("client_id", String(255), nullable=False),
    Column("report_id", String(64), nullable=False),
    # Of what was reported: the same id may be sent again, for nothing else.
    Column("digest", String(64), nullable=False),
    Column("cites", String(32), nullable=False),
    Column("entry_id", String(32), nullable=False),
    Column("commitment", String(43), nullable=False),
    Column("late", Boolean, nullable=False),
    Column("made_at", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("client_id", "report_id"),
)
Index("ix_use_report_made_at", use_report.c.client_id, use_report.c.made_at)


class BadReportError(ConsentError):
    """An item cannot be taken; ``detail`` says what is wrong with which member."""

    code = "bad-report"


@dataclass(frozen=True)
class Cited:
    """What a report says, and the original release that it cites."""

    report_id: str
    digest: str
    original: UseEntry
    use: Use
    late: bool


@dataclass(frozen=True)
class Taken:
    """The receipt for one item; ``is_new`` is False when it had been taken before."""

    report_id: str
    entry: str
    commitment: str
    is_new: bool


@dataclass(frozen=True)
class Coverage:
    """How far an agency reports: of so many releases of personal data, how many are cited by at
    least one report, and how many of its reports came after the time for them.
    """

    client_id: str
    releases: int
    cited: int
    reports: int
    late: int

    @property
    def share(self) -> float | None:
        """The part of its releases that it reported on, from 0 to 1; None without releases."""
        return min(self.cited / self.releases, 1.0) if self.releases else None


class UseReports:
    """Takes reports, within one transaction."""

    def __init__(self, db: Connection, clock: Clock, use_log: UseLog, due: timedelta) -> None:
        self._db = db
        self._clock = clock
        self._use_log = use_log
        self._due = due

    def read(self, client_id: str, item: Any, correlation: str) -> Cited:
        """Return what an item says, judged against the release that it cites.

        Raises:
            BadReportError: a member is missing, unknown or makes no sense, or the receipt is not
                this agency's.
        """
        if not isinstance(item, dict) or set(item) - _MEMBERS:
            raise BadReportError(f"an item is an object of {', '.join(sorted(_MEMBERS))}")
        report_id, actor = _named(item, "id"), _named(item, "actor")
        action = _one_of(item, "action", Action)
        recipient = _named(item, "recipient") if "recipient" in item else ""
        if bool(recipient) is not (action in _TO_OTHERS):
            raise BadReportError("recipient belongs to share and transfer, and to nothing else")
        original = self._original(client_id, item.get("receipt"))
        attributes = item.get("attributes")
        if not isinstance(attributes, list) or not attributes:
            raise BadReportError("attributes is a list")
        if not all(isinstance(one, str) and one in original.use.attributes for one in attributes):
            raise BadReportError("attributes names what the cited release did not hold")
        purpose = PURPOSES.get(str(item.get("purpose")))
        if purpose is None:
            raise BadReportError("purpose is not in the catalogue")
        basis = str(item.get("basis"))
        if basis not in LEGAL_BASES:
            raise BadReportError("basis is not in the catalogue")
        at, now = _moment(item.get("at")), self._clock()
        if not original.at <= at <= now + _LEAD:
            raise BadReportError("at is before the cited release, or to come")
        late = now - at > self._due
        detail = {
            "action": action.value, "cites": original.id, "actor": actor, "done_at": at.isoformat(),
            **({"recipient": recipient} if recipient else {}),
        }  # fmt: skip
        use = Use(
            subject_id=original.use.subject_id,
            client_id=client_id,
            channel=Channel.RP_REPORTED,
            attributes=tuple(dict.fromkeys(attributes)),
            purpose=purpose.code,
            purpose_version=purpose.version,
            legal_basis=basis,
            correlation=correlation,
            subject_role=original.use.subject_role,
            # What rests on another basis than the release did rests on no consent.
            consent_id=original.use.consent_id if basis == original.use.legal_basis else None,
            grant_id=original.use.grant_id,
            other_party=original.use.other_party,
            detail=detail,
        )
        digest = sha256(orjson.dumps(item, option=orjson.OPT_SORT_KEYS)).hexdigest()
        return Cited(report_id, digest, original, use, late)

    def take(self, cited: Cited) -> Taken:
        """Write the entry, once for each report.

        Raises:
            BadReportError: the id was used for something else.
        """
        columns, client_id = use_report.c, cited.use.client_id
        mine = (columns.client_id == client_id, columns.report_id == cited.report_id)
        # Locked first, so that the same report sent twice at once is judged in turn.
        self._use_log.lock(cited.use.subject_id)
        known = self._db.execute(select(use_report).where(*mine)).first()
        if known is None:
            recorded = self._use_log.record(cited.use)
            self._keep(cited, recorded)
            return Taken(cited.report_id, recorded.id, base64url(recorded.commitment), is_new=True)
        if known.digest != cited.digest:
            raise BadReportError("id was used for another report")
        return Taken(cited.report_id, known.entry_id, known.commitment, is_new=False)

    def _keep(self, cited: Cited, recorded: Recorded) -> None:
        self._db.execute(
            insert(use_report).values(
                client_id=cited.use.client_id,
                report_id=cited.report_id,
                digest=cited.digest,
                cites=cited.original.id,
                entry_id=recorded.id,
                commitment=base64url(recorded.commitment),
                late=cited.late,
                made_at=self._clock(),
            )
        )

    def _original(self, client_id: str, receipt: Any) -> UseEntry:
        unknown = BadReportError(
            "receipt is none of yours: id, log and leaf, as /agency/receipts gave them"
        )
        if not isinstance(receipt, dict):
            raise unknown
        log, leaf = receipt.get("log"), receipt.get("leaf")
        if not isinstance(log, str) or not _LOG.fullmatch(log) or type(leaf) is not int or leaf < 0:
            raise unknown
        stream = LogState(self._db).tile(log, STREAM, leaf // WIDTH)
        whose = stream[leaf % WIDTH * STREAM_BYTES :][:STREAM_BYTES]
        if len(whose) != STREAM_BYTES:
            raise unknown
        subject_id, position = LogState(self._db).subject_at(whose[:32]), whose[32:]
        if subject_id is None:
            raise unknown
        entry = self._use_log.find(subject_id, int.from_bytes(position, "big"), span_of(log))
        if (
            entry is None
            or (entry.use.client_id, entry.id) != (client_id, receipt.get("id"))
            or entry.use.outcome is not Outcome.RELEASED
            or entry.use.channel is Channel.RP_REPORTED
        ):
            raise unknown
        return entry


def coverage(db: Connection, since: datetime) -> list[Coverage]:
    """Return how far each agency that got personal data since then reports on it."""
    columns, receipts = use_report.c, use_receipt.c
    released = db.execute(
        select(receipts.client_id, func.sum(receipts.personal).label("releases"))
        .where(receipts.made_at >= since)
        .group_by(receipts.client_id)
    )
    releases = {row.client_id: int(row.releases or 0) for row in released}
    told = {
        row.client_id: row
        for row in db.execute(
            select(
                columns.client_id,
                func.count(distinct(columns.cites)).label("cited"),
                func.count().label("reports"),
                func.count().filter(columns.late).label("late"),
            )
            .where(columns.made_at >= since)
            .group_by(columns.client_id)
        )
    }
    found = []
    for client_id in sorted(releases.keys() | told.keys()):
        row = told.get(client_id)
        counts = (row.cited, row.reports, row.late) if row is not None else (0, 0, 0)
        found.append(Coverage(client_id, releases.get(client_id, 0), *counts))
    return found


def purge(db: Connection, before: datetime) -> int:
    """Forget the ids of reports made before the moment, whose entries are gone too; return how many."""
    return db.execute(delete(use_report).where(use_report.c.made_at < before)).rowcount


def _named(item: Mapping[str, Any], member: str) -> str:
    found = item.get(member)
    if not isinstance(found, str) or not _NAME.fullmatch(found):
        raise BadReportError(f"{member} is a code of letters, digits and . _ : / - (64 at most)")
    return found


def _one_of(item: Mapping[str, Any], member: str, choices: type[Action]) -> Action:
    try:
        return choices(str(item.get(member)))
    except ValueError:
        raise BadReportError(f"{member} is one of {', '.join(choices)}") from None


def _moment(text: Any) -> datetime:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadReportError("at is a moment with its zone (ISO 8601)")
    return found
